//! Structural modules: instances whose nets of the same name are joined.
use super::design::{Design, PrintedModule};
use super::error::{PrintError, Result};
use super::text::{comment, folded, range};
use super::Port;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

/// A printed design that becomes an instance of a joined module; its top is its last module.
#[derive(Clone, Debug)]
pub struct Part {
    /// Name of the instance.
    pub instance: String,
    /// Its modules.
    pub design: Design,
    /// Ports of its top.
    pub ports: Vec<Port>,
}

/// What becomes of nets that only one part has: unless they are named here they surface as ports.
#[derive(Copy, Clone, Debug, Default)]
pub struct Loose<'a> {
    /// Outputs that nothing reads.
    pub open: &'a [&'a str],
    /// Inputs that are 0.
    pub zero: &'a [&'a str],
}

/// Who drives a net and who reads it, by index of the part.
#[derive(Default)]
struct Net {
    width: usize,
    driver: Option<usize>,
    read: bool,
    place: usize,
}

/// Prints the module `top` around the parts: an output and the inputs of the same name become one net; inputs without a
/// driver and outputs without a reader become ports.
///
/// # Errors
/// Two drivers, two widths, a loose name that is none, two different modules of one name.
pub fn join(top: &str, title: &str, parts: Vec<Part>, loose: Loose<'_>) -> Result<(Design, Vec<Port>)> {
    let fault = |reason: String| PrintError { path: top.into(), reason };
    let mut nets: BTreeMap<&str, Net> = BTreeMap::new();
    let mut order = vec![];
    for (index, part) in parts.iter().enumerate() {
        for port in &part.ports {
            for (name, _, width) in &port.nets {
                let place = order.len();
                let net = match nets.entry(name) {
                    Entry::Vacant(entry) => {
                        order.push(name.as_str());
                        entry.insert(Net { width: *width, place, ..Net::default() })
                    }
                    Entry::Occupied(entry) => entry.into_mut(),
                };
                if net.width != *width {
                    return Err(fault(format!("{name} has {} bits in one part and {width} in another", net.width)));
                }
                match (port.input, net.driver) {
                    (true, _) => net.read = true,
                    (false, None) => net.driver = Some(index),
                    (false, Some(_)) => return Err(fault(format!("two parts drive {name}"))),
                }
            }
        }
    }
    let lonely = |name: &str, driven: bool| {
        nets.get(name).is_some_and(|net| net.driver.is_some() == driven && net.read != driven)
    };
    if let Some(name) = loose.open.iter().find(|name| !lonely(name, true)) {
        return Err(fault(format!("{name} is to stay open, but is no output that nothing reads")));
    }
    if let Some(name) = loose.zero.iter().find(|name| !lonely(name, false)) {
        return Err(fault(format!("{name} is to be 0, but is no input without a driver")));
    }

    let left_out: HashSet<&str> = loose.open.iter().chain(loose.zero).copied().collect();
    let mut surfacing: Vec<(&str, &Net)> = nets
        .iter()
        .map(|(name, net)| (*name, net))
        .filter(|(name, net)| net.driver.is_some() != net.read && !left_out.contains(name))
        .collect();
    surfacing.sort_by_key(|(_, net)| net.place);
    let ports: Vec<Port> =
        surfacing.iter().map(|(name, net)| Port::plain(name, net.width, net.driver.is_none())).collect();

    let mut text = String::new();
    comment(title, "", &mut text);
    let _ = write!(text, "module {top} {}", header(&ports));
    let mut inner: Vec<_> =
        nets.iter().filter(|(name, net)| net.driver.is_some() && (net.read || left_out.contains(*name))).collect();
    inner.sort_by_key(|(_, net)| net.place);
    let columns = inner.iter().map(|(_, net)| range(net.width).len()).max().unwrap_or(0);
    text.push('\n');
    for (name, net) in inner {
        let _ = writeln!(text, "    wire {:<columns$}{name};", range(net.width));
    }
    for part in &parts {
        text.push_str(&instance(part, loose));
    }
    if !loose.open.is_empty() {
        let _ = writeln!(
            text,
            "\n    // Nothing here reads these.\n    wire unused = &{{1'b0, {}}};",
            loose.open.join(", ")
        );
    }
    text.push_str("endmodule\n");
    let text = folded(&text);
    let mut modules = merged(parts.into_iter().map(|part| part.design)).map_err(fault)?;
    modules.push(PrintedModule { name: top.into(), text });
    Ok((Design { modules }, ports))
}

fn header(ports: &[Port]) -> String {
    let columns = ports.iter().map(|port| range(port.width).len()).max().unwrap_or(0);
    let line = |port: &Port| {
        let kind = if port.input { "input  wire" } else { "output wire" };
        format!("    {kind} {:<columns$}{}", range(port.width), port.name)
    };
    format!("(\n{}\n);\n", ports.iter().map(line).collect::<Vec<_>>().join(",\n"))
}

fn instance(part: &Part, loose: Loose<'_>) -> String {
    let module = part.design.modules.last().map_or("", |module| module.name.as_str());
    let connection = |(name, _, width): &(String, usize, usize)| {
        if loose.zero.contains(&name.as_str()) {
            format!("        .{name}({width}'d0)")
        } else {
            format!("        .{name}({name})")
        }
    };
    let ports: Vec<_> = part.ports.iter().flat_map(|port| &port.nets).map(connection).collect();
    format!("\n    {module} {} (\n{}\n    );\n", part.instance, ports.join(",\n"))
}

/// Each module once.
fn merged(designs: impl Iterator<Item = Design>) -> std::result::Result<Vec<PrintedModule>, String> {
    let mut modules: Vec<PrintedModule> = vec![];
    for module in designs.flat_map(|design| design.modules) {
        match modules.iter().find(|known| known.name == module.name) {
            None => modules.push(module),
            Some(known) if *known == module => {}
            Some(known) => return Err(format!("two different modules have the name {}", known.name)),
        }
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(instance: &str, module: &str, ports: Vec<Port>) -> Part {
        let text = format!("module {module} ();\nendmodule\n");
        let design = Design { modules: vec![PrintedModule { name: module.into(), text }] };
        Part { instance: instance.into(), design, ports }
    }

    fn pair() -> Vec<Part> {
        let upper = vec![Port::plain("clock", 1, true), Port::plain("word", 8, false), Port::plain("level", 1, false)];
        let lower = vec![Port::plain("clock", 1, true), Port::plain("word", 8, true), Port::plain("mode", 2, true)];
        vec![part("a", "upper", upper), part("b", "lower", lower)]
    }

    #[test]
    fn same_names_are_joined_and_the_rest_surfaces() {
        let (design, ports) = join("top", "both", pair(), Loose::default()).unwrap();
        let names: Vec<_> = ports.iter().map(|port| (port.name.as_str(), port.input)).collect();
        assert_eq!(names, [("clock", true), ("level", false), ("mode", true)]);
        let text = &design.modules.last().unwrap().text;
        assert!(text.contains("    wire [7:0] word;\n"), "{text}");
        assert!(text.contains("    input  wire [1:0] mode\n"), "{text}");
        assert!(text.contains(".word(word)"), "{text}");
    }

    #[test]
    fn loose_nets_do_not_surface() {
        let (design, ports) = join("top", "both", pair(), Loose { open: &["level"], zero: &["mode"] }).unwrap();
        assert_eq!(ports.len(), 1);
        let text = &design.modules.last().unwrap().text;
        assert!(text.contains("    wire unused = &{1'b0, level};\n") && text.contains(".mode(2'd0)"), "{text}");
    }

    #[test]
    fn faults_are_named() {
        let mut parts = pair();
        parts[1].ports[1].nets[0].2 = 9;
        assert!(join("top", "", parts, Loose::default()).unwrap_err().reason.contains("word has 8 bits"));
        let mut parts = pair();
        parts[1].ports[1].input = false;
        assert!(join("top", "", parts, Loose::default()).unwrap_err().reason.contains("two parts drive word"));
        let wrong = Loose { open: &["word"], zero: &[] };
        assert!(join("top", "", pair(), wrong).unwrap_err().reason.contains("word is to stay open"));
        let wrong = Loose { open: &[], zero: &["level"] };
        assert!(join("top", "", pair(), wrong).unwrap_err().reason.contains("level is to be 0"));
        let mut parts = pair();
        parts[1].design.modules[0].name = "upper".into();
        assert!(join("top", "", parts, Loose::default()).unwrap_err().reason.contains("two different modules"));
    }
}
