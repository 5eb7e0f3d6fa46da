//! The whole design: every module once, with a stable name.
use super::collect::BlockNode;
use super::error::Result;
use super::hand_written::hand_written;
use super::head::framed;
use super::instances::Instance;
use super::module::{combinational, port_nets, Body, Parameter};
use super::registers;
use super::scope::Scope;
use super::text::comment;
use rust_hdl::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

/// Verilog modules, each after those it contains; the top is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Design {
    /// The modules.
    pub modules: Vec<PrintedModule>,
}

/// One module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintedModule {
    /// Name of the module, and of its file without `.v`.
    pub name: String,
    /// From the comment in front of it to `endmodule`.
    pub text: String,
}

impl PrintedModule {
    /// Contents of the module's own file.
    pub fn file(&self) -> String {
        framed(&self.text, None)
    }
    /// As [`file`](Self::file), with the name of the configuration in its head.
    pub fn file_of(&self, configuration: &str) -> String {
        framed(&self.text, Some(configuration))
    }
    /// Name of the module's own file.
    pub fn file_name(&self) -> String {
        format!("{}.v", self.name)
    }
}

impl Design {
    /// All modules as one file.
    pub fn single_file(&self) -> String {
        let texts: Vec<_> = self.modules.iter().map(|module| module.text.as_str()).collect();
        framed(&texts.join("\n"), None)
    }
    /// Names of the files, one per line, in an order in which every tool can read them.
    pub fn file_list(&self) -> String {
        self.modules.iter().map(|module| module.file_name() + "\n").collect()
    }
}

/// A module that has no name yet.
struct Unnamed {
    name: Option<String>,
    heading: String,
    /// With marks for the names of the modules inside.
    text: String,
    /// With the values of its first use.
    parameters: Vec<Parameter>,
    /// The name is given from outside (vendor cells) and so is the text.
    foreign: bool,
    /// Where it was first seen: instance, the block around it.
    instance: String,
    parent: String,
}

#[derive(Default)]
pub(super) struct Builder {
    initialised: bool,
    modules: Vec<Unnamed>,
    by_text: HashMap<(String, String), usize>,
}

const MARK: char = '\u{1}';

fn mark(id: usize) -> String {
    format!("{MARK}{id}{MARK}")
}

impl Builder {
    /// `initialised`: registers have initial values.
    pub fn new(initialised: bool) -> Self {
        Self { initialised, ..Self::default() }
    }

    /// Adds a block and all that is inside; gives it as an instance of its module.
    pub fn add<'n>(&mut self, node: &'n BlockNode, path: &str, parent: &str) -> Result<Instance<'n>> {
        if let Verilog::Blackbox(cell) = &node.code {
            let ports = port_nets(node, &Scope::new(node, path, false)?);
            let module = mark(self.insert_foreign(&cell.code));
            return Ok(Instance { node, module, parameters: vec![], ports });
        }
        if node.is_custom() {
            if let Verilog::Wrapper(Wrapper { cores, .. }) = &node.code {
                if !cores.trim().is_empty() {
                    self.insert_foreign(cores);
                }
            }
            let body = hand_written(node, path, self.initialised)?;
            return Ok(self.insert(node, parent, body));
        }
        let mut instances = vec![];
        for child in node.children.iter().filter(|child| registers::recognise(child).is_none()) {
            instances.push(self.add(child, &format!("{path}.{}", child.instance), &node.instance)?);
        }
        let body = combinational(node, path, &instances, self.initialised)?;
        Ok(self.insert(node, parent, body))
    }

    fn insert<'n>(&mut self, node: &'n BlockNode, parent: &str, body: Body) -> Instance<'n> {
        let Body { name, heading, text, ports, parameters } = body;
        let instance = |id| Instance { node, module: mark(id), parameters: parameters.clone(), ports: ports.clone() };
        let wanted = name.clone().unwrap_or_default();
        let id = *self.by_text.entry((wanted, text.clone())).or_insert_with(|| {
            let (instance, parent) = (node.instance.replace('$', "_"), parent.replace('$', "_"));
            let parameters = parameters.clone();
            self.modules.push(Unnamed { name, heading, text, parameters, foreign: false, instance, parent });
            self.modules.len() - 1
        });
        instance(id)
    }

    /// Adds text from outside: a vendor's cell.
    fn insert_foreign(&mut self, text: &str) -> usize {
        let name = text.split("module ").nth(1).unwrap_or_default();
        let name: String =
            name.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '$').collect();
        *self.by_text.entry((name.clone(), text.into())).or_insert_with(|| {
            self.modules.push(Unnamed {
                name: Some(name),
                heading: String::new(),
                text: text.trim().to_string() + "\n",
                parameters: vec![],
                foreign: true,
                instance: String::new(),
                parent: String::new(),
            });
            self.modules.len() - 1
        })
    }

    /// Names all modules, each with the prefix but those from outside; the last one added is the top.
    pub fn finish(self, prefix: &str, top: &str) -> Design {
        let prefixed = |(module, name): (&Unnamed, String)| match module.foreign {
            true => name,
            false => format!("{prefix}{name}"),
        };
        let names: Vec<String> = self.modules.iter().zip(self.names(top)).map(prefixed).collect();
        let mut modules = vec![];
        for (id, (module, name)) in self.modules.iter().zip(&names).enumerate() {
            let mut text = String::new();
            if module.foreign {
                text.push_str(&module.text);
            } else {
                comment(&module.heading, "", &mut text);
                let _ = write!(text, "module {name} {}", parameter_list(&module.parameters, id + 1 == names.len()));
                for (i, part) in module.text.split(MARK).enumerate() {
                    // every second part is the number of a module
                    let inside = part.parse().ok().filter(|_| i % 2 == 1).and_then(|id: usize| names.get(id));
                    text.push_str(inside.map_or(part, |name| name));
                }
            }
            modules.push(PrintedModule { name: name.clone(), text });
        }
        Design { modules }
    }

    /// The name a block asks for; if several different modules ask for the same one, the block around them and their instance are
    /// added, so that a name does not move with what else is there; at last a number.
    fn names(&self, top: &str) -> Vec<String> {
        let last = self.modules.len().saturating_sub(1);
        let wanted = |module: &Unnamed| match &module.name {
            Some(name) => name.clone(),
            None => unnumbered(&module.instance).to_string(),
        };
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (id, module) in self.modules.iter().enumerate().filter(|(id, _)| *id != last) {
            groups.entry(wanted(module)).or_default().push(id);
        }
        let mut names = vec![String::new(); self.modules.len()];
        let mut taken = HashSet::from([top.to_string()]);
        if let Some(name) = names.last_mut() {
            *name = top.into();
        }
        for (wanted, members) in groups {
            let candidates: [&dyn Fn(&Unnamed) -> String; 3] = [
                &|_| wanted.clone(),
                &|module| format!("{wanted}_{}_{}", unnumbered(&module.parent), unnumbered(&module.instance)),
                &|module| format!("{wanted}_{}_{}", module.parent, module.instance),
            ];
            let distinct = |candidate: &dyn Fn(&Unnamed) -> String| {
                let found: Vec<_> = members.iter().map(|id| candidate(&self.modules[*id])).collect();
                let mut own = HashSet::new();
                found.iter().all(|name| !taken.contains(name) && own.insert(name.clone())).then_some(found)
            };
            let found = candidates.iter().find_map(|candidate| distinct(*candidate)).unwrap_or_else(|| {
                (1..)
                    .map(|count| format!("{wanted}_{count}"))
                    .filter(|name| !taken.contains(name))
                    .take(members.len())
                    .collect()
            });
            for (id, name) in members.iter().zip(found) {
                taken.insert(name.clone());
                names[*id] = name;
            }
        }
        names
    }
}

/// The name of an array's block without its place.
fn unnumbered(instance: &str) -> &str {
    instance.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_')
}

/// `#(` parameters with their docs and defaults `) `, or nothing. Nobody gives the top its values.
fn parameter_list(parameters: &[Parameter], top: bool) -> String {
    let parameter = |parameter: &Parameter| {
        let mut out = String::new();
        comment(&parameter.about, "    ", &mut out);
        let value = if top { parameter.value } else { parameter.default };
        out + &format!("    parameter {} = {value}", parameter.name)
    };
    match parameters {
        [] => String::new(),
        _ => format!("#(\n{}\n) ", parameters.iter().map(parameter).collect::<Vec<_>>().join(",\n")),
    }
}
