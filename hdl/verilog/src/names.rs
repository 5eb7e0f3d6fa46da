//! Identifiers: from Rust paths to Verilog names without `$`, keywords or collisions.
use std::collections::HashSet;
use std::sync::OnceLock;

/// Words that are reserved in Verilog or SystemVerilog, so that the files can be read as either.
const KEYWORDS: &str = "
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind
    bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config
    const constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist
    do edge else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface
    endmodule endpackage endprimitive endprogram endproperty endspecify endsequence endtable endtask enum event
    eventually expect export extends extern final first_match for force foreach forever fork forkjoin function
    generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir
    include initial inout input inside instance int integer interconnect interface intersect join join_any join_none
    large let liblist library local localparam logic longint macromodule matches medium modport module nand negedge
    nettype new nexttime nmos nor noshowcancelled not notif0 notif1 null or output package packed parameter pmos
    posedge primitive priority program property protected pull0 pull1 pulldown pullup pulsestyle_ondetect
    pulsestyle_onevent pure rand randc randcase randsequence rcmos real realtime ref reg reject_on release repeat
    restrict return rnmos rpmos rtran rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared
    sequence shortint shortreal showcancelled signed small soft solve specify specparam static string strong strong0
    strong1 struct super supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout time
    timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union unique unique0
    unsigned until until_with untyped use uwire var vectored virtual void wait wait_order wand weak weak0 weak1 while
    wildcard wire with within wor xnor xor";

/// Words that Verilator's C++ cannot have as names.
const CPP_WORDS: &str = "
    alignas alignof and_eq asm auto bitand bitor bool catch cdecl char char16_t char32_t char8_t co_await co_return
    co_yield compl concept const_cast consteval constexpr constinit decltype delete double dynamic_cast explicit false
    far float friend goto huge inline interrupt long main mutable namespace near noexcept not_eq nullptr operator or_eq
    pascal private public register reinterpret_cast requires short sizeof static_assert static_cast std switch
    synchronized template thread_local throw transaction_safe true try typeid typename uint16_t uint32_t uint8_t using
    volatile wchar_t xor_eq sensitive";

/// The names taken in one module.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// `wanted`, made a legal identifier that nothing else has.
    pub fn fresh(&mut self, wanted: &str) -> String {
        let base = identifier(wanted);
        let mut name = base.clone();
        let mut count = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{base}_{count}");
            count += 1;
        }
        name
    }
    /// Nothing has this name yet.
    pub fn is_free(&self, wanted: &str) -> bool {
        !self.0.contains(&identifier(wanted))
    }
}

/// A legal identifier: `$` becomes `_`, a keyword gets a `_` behind.
pub(super) fn identifier(wanted: &str) -> String {
    let name = wanted.replace('$', "_");
    static RESERVED: OnceLock<HashSet<&str>> = OnceLock::new();
    let words = || KEYWORDS.split_ascii_whitespace().chain(CPP_WORDS.split_ascii_whitespace()).collect();
    let reserved = RESERVED.get_or_init(words).contains(name.as_str());
    if reserved {
        name + "_"
    } else {
        name
    }
}

/// `ReadState` as `read_state`, `MSIXTable` as `msix_table`.
pub(super) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let after_small = i > 0 && (letters[i - 1].is_lowercase() || letters[i - 1].is_ascii_digit());
        let before_small = i > 0 && letters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (after_small || before_small) && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// As constants are written: `limit` as `LIMIT`, `ReadState::Idle` as `READ_STATE_IDLE`.
pub(super) fn upper_case(name: &str) -> String {
    snake_case(name).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_and_unique() {
        let mut names = Names::default();
        assert_eq!(names.fresh("input$data"), "input_data");
        assert_eq!(names.fresh("input_data"), "input_data_2");
        assert_eq!(names.fresh("table"), "table_");
        assert_eq!(names.fresh("end"), "end_");
        assert_eq!(names.fresh("far"), "far_");
        assert!(!names.is_free("table"));
    }

    #[test]
    fn cases() {
        assert_eq!(snake_case("ReadState"), "read_state");
        assert_eq!(snake_case("MSIXTable"), "msix_table");
        assert_eq!(snake_case("already_snake"), "already_snake");
        assert_eq!(upper_case("Bar0Kind"), "BAR0_KIND");
    }
}
