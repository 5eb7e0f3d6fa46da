//! From the endpoint's ports: the handshakes of INTx and of function-level reset, and what must stand still.
use super::block::HardIp;
use super::rule::Rule;
use super::Family;
use crate::link::tlp::*;
use virtio_hdl_rtl::pcie::layout::COMMAND_INTX_DISABLE;

/// Cycles for which INTx may be asserted while it is disabled: the level has to come round.
const DISABLE_GRACE: u64 = 64;

impl HardIp {
    /// A watched port has another value from this cycle on.
    pub(super) fn port_changed(&mut self, port: &str, cycle: u64, value: u64) -> Result<(), Rule> {
        match port {
            "cfg_interrupt_int" => {
                if value > 1 {
                    return Err(Rule::Handshake("the function has INTA only: bits 3:1 must be 0"));
                }
                self.line_changed(cycle, value == 1)
            }
            "cfg_interrupt" => {
                if value == 0 && self.handshakes.answer.is_some_and(|answer| cycle <= answer) {
                    return Err(Rule::Handshake("withdrawn before cfg_interrupt_rdy"));
                }
                self.handshakes.request = value == 1;
                self.begin_request(cycle);
                Ok(())
            }
            "cfg_interrupt_assert" => {
                if self.handshakes.request && self.handshakes.answer.is_some_and(|answer| cycle <= answer) {
                    return Err(Rule::Handshake("changed before cfg_interrupt_rdy"));
                }
                self.handshakes.assert = value == 1;
                Ok(())
            }
            "cfg_interrupt_di" => match value {
                0 => Ok(()),
                _ => Err(Rule::Handshake("the function has INTA only: it must be 0")),
            },
            "cfg_interrupt_stat" => {
                self.config.interrupt_pending = value == 1;
                Ok(())
            }
            "cfg_interrupt_pending" => {
                self.config.interrupt_pending = value & 1 == 1;
                Ok(())
            }
            "cfg_trn_pending" => {
                self.config.transactions_pending = value == 1;
                Ok(())
            }
            "cfg_flr_done" => {
                if value & 1 == 1 {
                    if !self.handshakes.resetting {
                        return Err(Rule::Handshake("there is no function-level reset in process"));
                    }
                    self.handshakes.resetting = false;
                    let at = cycle + self.hesitation(2, 6);
                    self.level("cfg_flr_in_process", at, 0);
                }
                Ok(())
            }
            "rx_np_ok" | "pcie_cq_np_req" => {
                self.handshakes.nonposted_wanted = value & 1 == 1;
                if self.handshakes.nonposted_wanted {
                    self.release_requests(cycle + 1);
                }
                Ok(())
            }
            "tx_cfg_gnt" => {
                self.handshakes.granted = value == 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// UltraScale+: `cfg_interrupt_int` is a level, and each change is answered with a pulse of `cfg_interrupt_sent`.
    fn line_changed(&mut self, cycle: u64, level: bool) -> Result<(), Rule> {
        if level == self.handshakes.wanted {
            return Ok(());
        }
        if self.handshakes.answer.is_some_and(|answer| cycle <= answer) {
            return Err(Rule::Handshake("changed before cfg_interrupt_sent"));
        }
        let answer = cycle + self.hesitation(2, 12);
        self.handshakes.answer = Some(answer);
        self.handshakes.wanted = level;
        self.pulse("cfg_interrupt_sent", answer);
        self.line(answer, level)
    }

    /// 7-series: each request is answered with a pulse of `cfg_interrupt_rdy`.
    fn begin_request(&mut self, cycle: u64) {
        if self.handshakes.request && self.handshakes.answer.is_none() {
            let answer = cycle + self.hesitation(2, 12);
            self.handshakes.answer = Some(answer);
            self.handshakes.wanted = self.handshakes.assert;
            self.pulse("cfg_interrupt_rdy", answer);
        }
    }

    /// The cycle in which an answer has been seen.
    pub(super) fn handshake_event(&self) -> Option<u64> {
        let limit = self.handshakes.resetting.then_some(self.handshakes.reset_limit);
        self.handshakes.answer.map(|answer| answer + 2).into_iter().chain(limit).min()
    }

    /// Ends requests that have been answered.
    pub(super) fn handshake_advance(&mut self, now: u64) -> Result<(), Rule> {
        if self.handshakes.resetting && now >= self.handshakes.reset_limit {
            return Err(Rule::Handshake("no cfg_flr_done 100 ms after the function-level reset began"));
        }
        let Some(answer) = self.handshakes.answer.filter(|answer| answer + 2 <= now) else { return Ok(()) };
        self.handshakes.answer = None;
        if self.settings.family == Family::SevenSeries {
            self.line(now, self.handshakes.wanted)?;
            // It may have asked again, or stayed to do so.
            self.begin_request(answer + 1);
        }
        Ok(())
    }

    /// Tells the host of the line.
    fn line(&mut self, at: u64, asserted: bool) -> Result<(), Rule> {
        let disabled = self.config.command() & COMMAND_INTX_DISABLE != 0;
        if asserted && disabled {
            return match at > self.changed.command + DISABLE_GRACE {
                true => Err(Rule::Handshake("asserted while the driver has INTx disabled")),
                false => Ok(()),
            };
        }
        if asserted != self.handshakes.asserted {
            self.handshakes.asserted = asserted;
            let code = if asserted { ASSERT_INTA } else { DEASSERT_INTA };
            let (requester, payload) = (self.config.id(), Vec::new());
            let message = Message { requester, tag: 0, routing: Routing::Local, code, fields: [0; 2], payload };
            self.pipeline.push(at, 1, false, Tlp::from(Kind::Message(message)).encode());
        }
        Ok(())
    }
}
