//! RAM with a program in it.
use crate::block::Block;
use rust_hdl::prelude::*;
use std::fmt::Write as _;

const HEAD: &str = "\
// module: program_ram
// RAM of 32-bit words with byte lanes and with contents from the beginning on; a read of the word just being written gives anything.
(* no_rw_check *)
";

/// A program's memory: one write port with a write enable per byte, one read port, and contents that it begins with. A read of the word
/// that is written in the same cycle gives anything. 2^AW words of 32 bits.
///
/// ```text
/// raddr      <A>----------
/// rdata      ---<D>-------   a cycle later
/// rdata      ------<D>----   two, with an output register: the RAM of an ECP5 is slow
/// ```
/// The contents stand in the Verilog word by word: no file has to be found when it is read. A reset does not bring them back.
#[derive(Block)]
pub struct ProgramRam<const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to read.
    pub raddr: Signal<In, Bits<AW>>,
    /// The word read a cycle before, or two.
    pub rdata: Signal<Out, Bits<32>>,
    /// Word to write.
    pub waddr: Signal<In, Bits<AW>>,
    /// Data to write, byte 0 in bits 7:0.
    pub wdata: Signal<In, Bits<32>>,
    /// Bytes to write.
    pub wen: Signal<In, Bits<4>>,
    #[given]
    _image: Vec<u32>,
    #[given]
    _memory: Vec<u32>,
    #[given]
    _has_register: bool,
    #[given]
    _read: Bits<32>,
}

impl<const AW: usize> ProgramRam<AW> {
    /// With these words from address 0 on, and zeros behind them; `has_register`: with a register at the output.
    ///
    /// # Panics
    /// The image is larger than the RAM.
    pub fn new(image: &[u32], has_register: bool) -> Self {
        assert!(image.len() <= 1 << AW, "an image of {} words does not fit into 2^{AW}", image.len());
        let mut memory = image.to_vec();
        memory.resize(1 << AW, 0);
        let image = image.to_vec();
        Self::with(ProgramRamGiven { _image: image, _memory: memory, _has_register: has_register, _read: 0.into() })
    }
}

impl<const AW: usize> Logic for ProgramRam<AW> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let read: Bits<32> = u64::from(self._memory[self.raddr.val().index()]).into();
            self.rdata.next = if self._has_register { self._read } else { read };
            self._read = read;
            let enable = self.wen.val().to_u64();
            if enable != 0 {
                let bytes = (0..4).filter(|lane| enable >> lane & 1 == 1);
                let mask = bytes.fold(0, |mask, lane| mask | 0xff_u32 << (8 * lane));
                let word = &mut self._memory[self.waddr.val().index()];
                *word = *word & !mask | self.wdata.val().to_u64() as u32 & mask;
            }
        }
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        let (words, last) = (self._image.len(), (1 << AW) - 1);
        let mut text = format!("{HEAD}reg [31:0] memory [0:{last}];\ninteger lane, word;\n");
        if self._has_register {
            text += "reg [31:0] word_read;\n";
        }
        text += "initial\n    begin\n";
        for (place, word) in self._image.iter().enumerate() {
            let _ = writeln!(text, "        memory[{place}] = 32'h{word:08x};");
        }
        let _ = writeln!(text, "        for (word = {words}; word <= {last}; word = word + 1) memory[word] = 32'h0;");
        text += "    end\nalways @(posedge clock) begin\n";
        text += match self._has_register {
            true => "    word_read <= memory[raddr];\n    rdata <= word_read;\n",
            false => "    rdata <= memory[raddr];\n",
        };
        text += "    for (lane = 0; lane < 4; lane = lane + 1)\n";
        text += "        if (wen[lane]) memory[waddr][lane*8 +: 8] <= wdata[lane*8 +: 8];\nend\n";
        Verilog::Custom(text)
    }
}
