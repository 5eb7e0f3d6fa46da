//! The client as the device sees it.
use crate::connection::Connection;
use crate::dma::{DmaQueue, Surroundings};
use crate::irq::Irqs;
use crate::memory::Memory;
use crate::message::Message;
use crate::{ClientStatistics, Discarded, Errno, ServerOptions};
use std::os::unix::net::UnixStream;

/// One connection: the way from the device to the VMM's memory and interrupts.
///
/// All DMA and all interrupts go through one queue and take effect in the order of the calls, as posted writes on PCI
/// Express do: see the module `dma`.
#[derive(Debug)]
pub struct Client {
    pub(crate) connection: Connection,
    pub(crate) memory: Memory,
    pub(crate) irqs: Irqs,
    pub(crate) dma: DmaQueue,
    pub(crate) statistics: ClientStatistics,
    /// The version has been agreed on.
    pub(crate) attached: bool,
}

impl Client {
    pub(crate) fn new(stream: UnixStream, options: ServerOptions) -> Self {
        Client {
            connection: Connection::new(stream),
            memory: Memory::new(options.map),
            irqs: Irqs::default(),
            dma: DmaQueue::new(),
            statistics: ClientStatistics::default(),
            attached: false,
        }
    }

    /// Asks for `bytes` bytes of the VMM's memory; [`Client::take_read`] gives them with `token`, which is the device's own.
    pub fn dma_read(&mut self, token: u64, address: u64, bytes: usize) {
        self.dma.read(token, address, bytes);
        self.advance();
    }

    /// Writes to the VMM's memory. Posted: a failure is counted and logged.
    pub fn dma_write(&mut self, address: u64, data: &[u8]) {
        self.dma.write(address, data.to_vec());
        self.advance();
    }

    /// Signals the eventfd of an interrupt behind all earlier writes. One without an eventfd is lost, and so is INTx
    /// while it is masked, as it is from one signal to the next unmasking: see [`crate::Device::intx_unmasked`].
    pub fn interrupt(&mut self, index: u32, vector: u32) {
        self.dma.interrupt(index, vector);
        self.advance();
    }

    /// Gives a range of the VMM's memory back to the host, for a guest that has no use for it: until it is written again it holds
    /// zeros, and takes no memory. At once: what the device wrote there before may come behind it.
    pub fn discard(&mut self, address: u64, bytes: u64) -> Discarded {
        self.memory.discard(address, bytes)
    }

    /// A finished read: token and data. They come in no order.
    pub fn take_read(&mut self) -> Option<(u64, Result<Vec<u8>, Errno>)> {
        self.dma.take_read()
    }

    /// Whether so many writes wait for the VMM that the device should stop until some are acknowledged. One that never does
    /// loses its client in the end.
    pub fn is_full(&self) -> bool {
        self.dma.is_full()
    }

    /// Sends the writes that wait, so that an answer which the device gives now comes behind them.
    pub fn push_writes(&mut self) {
        let (dma, mut around) = self.split();
        dma.push(&mut around);
    }

    /// Drops the writes and interrupts that have not gone out. Those that have cannot be taken back.
    pub fn forget_writes(&mut self) {
        self.dma.forget_writes();
        self.advance();
    }

    /// Drops all reads, finished or not. Their replies go nowhere.
    pub fn forget_reads(&mut self) {
        self.dma.forget_reads();
        self.advance();
    }

    /// Whether there are writes that the VMM has not acknowledged.
    pub fn writes_pending(&self) -> bool {
        self.dma.writes_pending()
    }

    /// Whether there are reads that are not finished.
    pub fn reads_pending(&self) -> bool {
        self.dma.reads_pending()
    }

    /// Whether an INTx would be lost.
    pub fn intx_masked(&self) -> bool {
        self.irqs.intx_masked()
    }

    /// What has happened so far.
    pub fn statistics(&self) -> &ClientStatistics {
        &self.statistics
    }

    /// The reply to a DMA message.
    pub(crate) fn dma_reply(&mut self, message: &Message) {
        let (dma, mut around) = self.split();
        dma.reply(message, &mut around);
        dma.advance(&mut around);
    }

    fn advance(&mut self) {
        let (dma, mut around) = self.split();
        dma.advance(&mut around);
    }

    fn split(&mut self) -> (&mut DmaQueue, Surroundings<'_>) {
        let Client { connection, memory, irqs, dma, statistics, .. } = self;
        (dma, Surroundings { memory, irqs, connection, statistics })
    }
}
