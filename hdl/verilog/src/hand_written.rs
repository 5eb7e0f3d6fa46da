//! A module whose text is written by hand: the cells.
use super::collect::BlockNode;
use super::error::{PrintError, Result};
use super::layout::port_list;
use super::module::{port_nets, Body, Parameter};
use super::scope::{Net, Role, Scope};
use super::text;
use rust_hdl::prelude::Verilog;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Lines;

/// What the comment lines at the beginning say.
#[derive(Default)]
struct Head<'t> {
    /// `// module: NAME`
    name: Option<String>,
    /// `// parameter NAME is VALUE = DEFAULT: what it is`
    parameters: Vec<Parameter>,
    /// `// ports A B [RANGE]`, with a space behind
    ranges: HashMap<&'t str, String>,
    /// The other lines.
    heading: Vec<&'t str>,
}

impl<'t> Head<'t> {
    /// Takes the lines of the head; a text without a name has none.
    fn take(lines: &mut Peekable<Lines<'t>>) -> std::result::Result<Self, String> {
        let mut head = Head::default();
        let Some(name) = lines.peek().and_then(|line| line.strip_prefix("// module:")) else { return Ok(head) };
        head.name = Some(name.trim().to_string());
        lines.next();
        while let Some(line) = lines.next_if(|line| line.starts_with("// ")) {
            let wrong =
                || format!("`{line}` is not `// parameter NAME is VALUE = DEFAULT: text` or `// ports A B [RANGE]`");
            let line = &line["// ".len()..];
            if let Some(said) = line.strip_prefix("parameter ") {
                head.parameters.push(parameter(said).ok_or_else(wrong)?);
            } else if let Some(said) = line.strip_prefix("ports ") {
                let (ports, range) = said.split_once('[').ok_or_else(wrong)?;
                head.ranges.extend(ports.split_whitespace().map(|port| (port, format!("[{range} "))));
            } else {
                head.heading.push(line);
            }
        }
        Ok(head)
    }
}

fn parameter(said: &str) -> Option<Parameter> {
    let (assigned, about) = said.split_once(": ")?;
    let (here, default) = assigned.split_once(" = ")?;
    let (name, value) = here.split_once(" is ")?;
    let (value, default) = (value.parse().ok()?, default.parse().ok()?);
    Some(Parameter { name: name.into(), value, default, about: about.into() })
}

/// The body of a block with its own text; see the cells of `virtio-hdl-rtl` for its head. Lines that begin with `initial` are for
/// comparisons only, see [`print_initialised`](super::print_initialised).
pub(super) fn hand_written(node: &BlockNode, path: &str, initialised: bool) -> Result<Body> {
    let scope = Scope::new(node, path, false)?;
    let ports = port_nets(node, &scope);
    let code = match &node.code {
        Verilog::Custom(text) => text.as_str(),
        Verilog::Wrapper(wrapper) => wrapper.code.as_str(),
        _ => "",
    };
    let mut lines = code.lines().peekable();
    let head = Head::take(&mut lines).map_err(|reason| PrintError { path: path.into(), reason })?;
    let kind = |net: &Net| match net.role {
        Role::Input => "input  wire",
        Role::InOut => "inout  wire",
        // text assigns its outputs in processes unless it says `assign name`
        _ if matches!(node.code, Verilog::Wrapper(_)) || code.contains(&format!("assign {} ", net.name)) => {
            "output wire"
        }
        _ => "output reg ",
    };
    let range = |net: &Net| head.ranges.get(net.name.as_str()).cloned().unwrap_or_else(|| text::range(net.width));
    let mut text = port_list(scope.nets.iter().map(|net| (kind(net), net, range(net))).collect(), &node.docs);
    text.push('\n');
    for line in lines.filter(|line| initialised || !line.starts_with("initial ")) {
        let _ = writeln!(text, "{}", format!("    {line}").trim_end());
    }
    text.push_str("endmodule\n");
    Ok(Body { name: head.name, heading: head.heading.join("\n"), text, ports, parameters: head.parameters })
}
