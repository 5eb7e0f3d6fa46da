//! virtio-balloon behind the endpoint's core.
use super::super::change::ChangeDetector;
use super::pages::Pages;
use super::statistics::Statistics;
use super::types::*;
use crate::block::{list, Block};
use crate::cells::{Sink, Source};
use crate::comment;
use crate::config::EndpointConfig;
use crate::dma::types::*;
use crate::virtio::types::*;
use crate::virtio::DEVICE_CONFIG_BITS;
use rust_hdl::prelude::*;

/// The balloon with what virtio-balloon says of itself: features, device config. Queue 0 inflates, queue 1 deflates, queue 2, where it is
/// offered, has the statistics.
///
/// The ports from `device_features` on are those of [`crate::endpoint::core::EndpointCore`], the other way round.
#[derive(Block)]
pub struct BalloonSide {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Pages of 4 KiB that are wanted in the balloon.
    pub balloon_num_pages: Signal<In, Bits<32>>,
    /// Those that the driver says are in it. It may write byte by byte, so that there may be numbers in between.
    pub balloon_actual: Signal<Out, Bits<32>>,
    /// Pages, and the ends of chains.
    pub balloon_page: Source<BalloonPage>,
    /// An answer to each end, in order: what is to be done with the pages in front of it is done.
    pub balloon_done_valid: Signal<In, Bit>,
    pub balloon_done_ready: Signal<Out, Bit>,
    /// What the guest says of its memory, and the ends of chains.
    pub balloon_stat: Source<BalloonStatistic>,
    /// Newer numbers are wanted.
    pub balloon_stat_request_valid: Signal<In, Bit>,
    pub balloon_stat_request_ready: Signal<Out, Bit>,

    pub device_features: Signal<Out, Bits<32>>,
    pub device_config: Signal<Out, Bits<DEVICE_CONFIG_BITS>>,
    pub config_changed: Signal<Out, Bit>,
    /// `num_pages` and `actual`.
    pub driver_config: Signal<In, Bits<64>>,
    pub device_reset: Signal<In, Bit>,
    pub device_stop: Signal<In, Bit>,
    pub device_pause: Signal<In, Bit>,
    pub device_idle: Signal<Out, Bit>,
    #[given]
    pub chain: Vec<Sink<Chain>>,
    #[given]
    pub bytes: Vec<Sink<ByteBeat>>,
    #[given]
    pub command: Vec<Source<ScatterCommand>>,
    #[given]
    pub device_events: Vec<Signal<Out, Bit>>,

    pages: Pages,
    // one or none
    #[given]
    statistics: Vec<Statistics>,
    target: ChangeDetector<Bits<32>>,

    #[given]
    offered: Constant<Bits<32>>,
    stop: Signal<Local, Bit>,
    statistics_idle: Signal<Local, Bit>,
    statistics_cut: Signal<Local, Bit>,
    no_statistic: Signal<Local, BalloonStatistic>,
}

impl BalloonSide {
    /// The device of a checked configuration.
    pub fn new(config: &EndpointConfig) -> Self {
        let queues = config.queue_count();
        Self::with(BalloonSideGiven {
            chain: list(queues),
            bytes: list(queues),
            command: list(queues),
            device_events: list(3),
            statistics: list(queues - 2),
            offered: Constant::new(u64::from(config.host_features()).into()),
        })
    }
}

impl Logic for BalloonSide {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_balloon: the balloon, its features and device config");
        comment!("---- features and device config: num_pages; actual is the driver's, 0 until it writes it");
        self.device_features.next = self.offered.val();
        self.device_config.next = bit_cast::<DEVICE_CONFIG_BITS, 32>(self.balloon_num_pages.val());
        self.target.value.next = self.balloon_num_pages.val();
        self.config_changed.next = self.target.changed.val();
        self.balloon_actual.next = self.driver_config.val().get_bits::<32>(32);

        comment!("---- pages");
        self.stop.next = self.device_stop.val() | self.device_reset.val();
        self.pages.stop.next = self.stop.val();
        for i in 0..2 {
            Sink::<Chain>::link(&mut self.chain[i], &mut self.pages.chain[i]);
            Sink::<ByteBeat>::link(&mut self.bytes[i], &mut self.pages.readable[i]);
            Source::<ScatterCommand>::link(&mut self.command[i], &mut self.pages.command[i]);
        }
        Source::<BalloonPage>::link(&mut self.balloon_page, &mut self.pages.page);
        self.pages.done_valid.next = self.balloon_done_valid.val();
        self.balloon_done_ready.next = self.pages.done_ready.val();

        comment!("---- statistics, where they are; else requests for them go nowhere");
        self.no_statistic.next.tag = 0.into();
        self.no_statistic.next.value = 0.into();
        self.no_statistic.next.last = false;
        self.balloon_stat.data.next = self.no_statistic.val();
        self.balloon_stat.valid.next = false;
        self.balloon_stat_request_ready.next = true;
        self.statistics_idle.next = true;
        self.statistics_cut.next = false;
        for i in 0..self.statistics.len() {
            self.statistics[i].stop.next = self.stop.val();
            Sink::<Chain>::link(&mut self.chain[i + 2], &mut self.statistics[i].chain);
            Sink::<ByteBeat>::link(&mut self.bytes[i + 2], &mut self.statistics[i].readable);
            Source::<ScatterCommand>::link(&mut self.command[i + 2], &mut self.statistics[i].command);
            self.balloon_stat.data.next = self.statistics[i].stat.data.val();
            self.balloon_stat.valid.next = self.statistics[i].stat.valid.val();
            self.statistics[i].stat.ready.next = self.balloon_stat.ready.val();
            self.statistics[i].request_valid.next = self.balloon_stat_request_valid.val() & !self.device_pause.val();
            self.balloon_stat_request_ready.next = self.statistics[i].request_ready.val() & !self.device_pause.val();
            self.statistics_idle.next = self.statistics[i].idle.val();
            self.statistics_cut.next = self.statistics[i].read_failed.val() | self.statistics[i].odd.val();
        }

        self.device_idle.next = self.pages.idle.val() & self.statistics_idle.val();
        self.device_events[0].next = self.pages.read_failed.val();
        self.device_events[1].next = self.pages.odd.val();
        self.device_events[2].next = self.statistics_cut.val();
    }
}
