//! RAM with a program in it.
use crate::block::Block;
use rust_hdl::prelude::*;
use std::fmt::Write as _;

const HEAD: &str = r#"// module: program_ram
// parameter DEPTH = 1024: Words, a power of two.
// RAM of 32-bit words with byte lanes, which begins with a program; a read of the word just being written gives anything.
(* no_rw_check *)
reg [31:0] memory [0:DEPTH-1];
integer lane, word;
// Address bits above its size do not count.
wire unused = &{1'b0, raddr, waddr};
"#;

/// A program's memory: one write port with a write enable per byte, one read port, and contents that it begins with. A read of the word
/// that is written in the same cycle gives anything. Behind the last word the first one comes again.
///
/// ```text
/// raddr      <A>----------
/// rdata      ---<D>-------   a cycle later
/// rdata      ------<D>----   two, with an output register: the RAM of an ECP5 is slow
/// ```
/// The contents stand in the Verilog word by word: no file has to be found when it is read. A reset does not bring them back.
#[derive(Block)]
pub struct ProgramRam {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to read.
    pub raddr: Signal<In, Bits<14>>,
    /// The word read a cycle before, or two.
    pub rdata: Signal<Out, Bits<32>>,
    /// Word to write.
    pub waddr: Signal<In, Bits<14>>,
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

impl ProgramRam {
    /// Of so many words, a power of two up to 16,384: these from address 0 on, and zeros behind them; `has_register`: with a register at the
    /// output.
    ///
    /// # Panics
    /// With another number of words, or an image that is larger.
    pub fn new(words: usize, image: &[u32], has_register: bool) -> Self {
        assert!(words.is_power_of_two() && words <= 1 << 14, "{words} words");
        assert!(image.len() <= words, "an image of {} words does not fit into {words}", image.len());
        let mut memory = image.to_vec();
        memory.resize(words, 0);
        let image = image.to_vec();
        Self::with(ProgramRamGiven { _image: image, _memory: memory, _has_register: has_register, _read: 0.into() })
    }

    fn place(&self, word: Bits<14>) -> usize {
        word.index() % self._memory.len()
    }
}

impl Logic for ProgramRam {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let read: Bits<32> = u64::from(self._memory[self.place(self.raddr.val())]).into();
            self.rdata.next = if self._has_register { self._read } else { read };
            self._read = read;
            let enable = self.wen.val().to_u64();
            if enable != 0 {
                let bytes = (0..4).filter(|lane| enable >> lane & 1 == 1);
                let mask = bytes.fold(0, |mask, lane| mask | 0xff_u32 << (8 * lane));
                let place = self.place(self.waddr.val());
                let word = &mut self._memory[place];
                *word = *word & !mask | self.wdata.val().to_u64() as u32 & mask;
            }
        }
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        let words = self._memory.len();
        let mut text = HEAD.replace("// parameter DEPTH =", &format!("// parameter DEPTH is {words} ="));
        if self._has_register {
            text += "reg [31:0] word_read;\n";
        }
        text += "initial\n    begin\n";
        for (place, word) in self._image.iter().enumerate() {
            let _ = writeln!(text, "        memory[{place}] = 32'h{word:08x};");
        }
        let image = self._image.len();
        let _ = writeln!(text, "        for (word = {image}; word < DEPTH; word = word + 1) memory[word] = 32'h0;");
        text += "    end\nalways @(posedge clock) begin\n";
        let read = "memory[raddr[$clog2(DEPTH)-1:0]]";
        text += &match self._has_register {
            true => format!("    word_read <= {read};\n    rdata <= word_read;\n"),
            false => format!("    rdata <= {read};\n"),
        };
        text += "    for (lane = 0; lane < 4; lane = lane + 1)\n";
        text += "        if (wen[lane]) memory[waddr[$clog2(DEPTH)-1:0]][lane*8 +: 8] <= wdata[lane*8 +: 8];\nend\n";
        Verilog::Custom(text)
    }
}
