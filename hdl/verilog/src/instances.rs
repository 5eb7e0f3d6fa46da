//! Blocks inside a module: which net or value goes to which port.
use super::collect::BlockNode;
use super::ir::{Expr, NetId, UnaryOp};
use super::module::{Module, Parameter, PortNet};
use std::collections::HashSet;

/// A block inside, already printed.
pub(super) struct Instance<'a> {
    /// The block.
    pub node: &'a BlockNode,
    /// Mark for the name of its module.
    pub module: String,
    /// Their values for this instance.
    pub parameters: Vec<Parameter>,
    /// Its ports in the order of its fields.
    pub ports: Vec<Vec<PortNet>>,
}

/// An instance in the text.
pub(super) struct Connections {
    /// Mark for the name of its module.
    pub module: String,
    /// `#(.NAME(value)) `, or nothing.
    pub parameters: String,
    /// Name of the instance.
    pub name: String,
    /// The field that it is.
    pub field: String,
    /// Comments of values that are written into the connections.
    pub comments: Vec<String>,
    /// Port name and what is connected.
    pub ports: Vec<(String, String)>,
}

/// Connects the instances; simple values are written into the port list instead of a net.
pub(super) fn connections(module: &mut Module, instances: &[Instance]) -> Vec<Connections> {
    let mut read = HashSet::new();
    for piece in &module.pieces {
        piece.kind.reads(&mut |net, _| {
            read.insert(net);
        });
    }
    let mut result = vec![];
    let mut described = String::new();
    for instance in instances {
        let mut ports = vec![];
        let mut comments = vec![];
        for (atom, child_nets) in instance.node.ports().zip(&instance.ports) {
            let path = format!("{}${}", instance.node.instance, atom.path);
            let Some(signal) = module.scope.signal(&path) else { continue };
            let nets: Vec<NetId> = signal.parts.iter().map(|(net, _)| *net).collect();
            let texts: Vec<String> = nets.iter().map(|net| connected(module, *net, &read, &mut comments)).collect();
            if child_nets.len() == texts.len() {
                ports.extend(child_nets.iter().map(|net| net.name.clone()).zip(texts));
            } else if let [whole] = child_nets.as_slice() {
                // hand-written text has one vector for a struct
                let all = texts.into_iter().rev().collect::<Vec<_>>().join(", ");
                ports.push((whole.name.clone(), format!("{{{all}}}")));
            }
        }
        let name = module.scope.names.fresh(&instance.node.instance);
        // an array of blocks is described once
        let field = instance.node.instance.split('$').next().unwrap_or_default().to_string();
        let field = if field == described { String::new() } else { field };
        if !field.is_empty() {
            described.clone_from(&field);
        }
        let (module, parameters) = (instance.module.clone(), values(&instance.parameters));
        result.push(Connections { module, parameters, name, field, comments, ports });
    }
    result
}

/// `#(.NAME(value), ...) `, or nothing.
fn values(parameters: &[Parameter]) -> String {
    let value = |parameter: &Parameter| format!(".{}({})", parameter.name, parameter.value);
    match parameters {
        [] => String::new(),
        _ => format!("#({}) ", parameters.iter().map(value).collect::<Vec<_>>().join(", ")),
    }
}

fn connected(module: &mut Module, net: NetId, read: &HashSet<NetId>, comments: &mut Vec<String>) -> String {
    let width = module.scope.nets[net].width;
    let inlined = match module.assigned(net) {
        Some(value) if !read.contains(&net) && is_simple(value) => Some(module.scope.text(value, width)),
        _ => None,
    };
    match inlined {
        Some(text) => {
            module.inlined.insert(net);
            comments.extend_from_slice(module.comments(net));
            text
        }
        None => module.scope.nets[net].name.clone(),
    }
}

/// Short enough for a port list.
fn is_simple(value: &Expr) -> bool {
    match value {
        Expr::Net(_) | Expr::Literal(_) | Expr::Enum(_) => true,
        Expr::Slice(_, _, offset) => offset.index().is_some(),
        Expr::Bit(_, index) => index.index().is_some(),
        Expr::Extend(_, value) => is_simple(value),
        Expr::Unary(UnaryOp::Not, value) => matches!(**value, Expr::Net(_)),
        _ => false,
    }
}
