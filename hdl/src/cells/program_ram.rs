//! RAM that holds a program when the card begins.
use crate::block::Block;
use rust_hdl::prelude::*;
use std::fmt::Write;

const TEXT: &str = r#"// module: program_ram
// parameter DEPTH = 1024: Words, a power of two.
// RAM of 32-bit words with byte lanes, which begins with a program. What is read comes two cycles after its address, out of a register:
// the output of a block RAM is slow. A read of the word just being written gives anything. Address bits above its size do not count.
(* no_rw_check *)
reg [31:0] memory [0:DEPTH-1];
reg [31:0] read;
integer lane;
always @(posedge clock) begin
    read <= memory[raddr[$clog2(DEPTH)-1:0]];
    rdata <= read;
    for (lane = 0; lane < 4; lane = lane + 1)
        if (wen[lane]) memory[waddr[$clog2(DEPTH)-1:0]][lane*8 +: 8] <= wdata[lane*8 +: 8];
end
"#;

/// Words of 32 bits with a write enable for each byte, and contents to begin with: those of an image, then zeros. Read data come two
/// cycles after the address. A reset leaves all as it is.
///
/// The contents are assignments in an `initial` block: no file has to be found by whoever reads the Verilog.
#[derive(Block)]
pub struct ProgramRam {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to read.
    pub raddr: Signal<In, Bits<14>>,
    /// The word read two cycles before.
    pub rdata: Signal<Out, Bits<32>>,
    /// Word to write.
    pub waddr: Signal<In, Bits<14>>,
    /// Data to write.
    pub wdata: Signal<In, Bits<32>>,
    /// Bytes of it to write.
    pub wen: Signal<In, Bits<4>>,
    #[given]
    _memory: Vec<u32>,
    #[given]
    _image: Vec<u32>,
    #[given]
    _read: u32,
}

impl ProgramRam {
    /// Of so many words, a power of two up to 16,384.
    ///
    /// # Panics
    /// With another number of words, or an image that does not fit.
    pub fn new(words: usize, image: &[u8]) -> Self {
        assert!(words.is_power_of_two() && words <= 1 << 14, "{words} words");
        assert!(image.len() <= 4 * words, "an image of {} bytes in a RAM of {}", image.len(), 4 * words);
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let image: Vec<u32> = image.chunks(4).map(word).collect();
        let mut memory = image.clone();
        memory.resize(words, 0);
        Self::with(ProgramRamGiven { _memory: memory, _image: image, _read: 0 })
    }

    fn place(&self, word: Bits<14>) -> usize {
        word.to_u64() as usize % self._memory.len()
    }
}

impl Logic for ProgramRam {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.rdata.next = u64::from(self._read).into();
            self._read = self._memory[self.place(self.raddr.val())];
            let lanes = (0..4).filter(|lane| self.wen.val().get_bit(*lane));
            let mask = lanes.fold(0, |mask, lane| mask | 0xff << (8 * lane));
            let place = self.place(self.waddr.val());
            let word = &mut self._memory[place];
            *word = *word & !mask | self.wdata.val().to_u64() as u32 & mask;
        }
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        let words = self._memory.len();
        let text = TEXT.replace("// parameter DEPTH =", &format!("// parameter DEPTH is {words} ="));
        let mut text = format!("{text}integer word;\ninitial begin\n    for (word = 0; word < DEPTH; word = word + 1) memory[word] = 32'h0;\n");
        for (at, word) in self._image.iter().enumerate().filter(|(_, word)| **word != 0) {
            writeln!(text, "    memory[{at}] = 32'h{word:08x};").expect("a String takes all");
        }
        Verilog::Custom(text + "end\n")
    }
}
