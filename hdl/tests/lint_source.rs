//! Source lint: what `#[hdl_gen]` drops or changes without a word.
//!
//! rust-hdl's macro translates the text of `update`, not its meaning. These pass through it and give Verilog that does
//! something else than the Rust: guards of match arms, functions that happen to be called `bits...`, casts of
//! signed values that change the width, and arithmetic on `index()`, which does not wrap in Rust.
//!
//! And what `derive(Block)` does for a block is not done by hand: clock, reset, hold, lists of defaults. Where rust-hdl's derives
//! write public methods without documentation, rustc's lint is off, and this one looks at the rest.
use std::path::{Path, PathBuf};
use syn::visit::Visit;

const CALLS: &[&str] = &["bits", "bit_cast", "signed_cast", "unsigned_cast"];
const METHODS: &[&str] =
    &["val", "into", "index", "to_bits", "get_bit", "get_bits", "replace_bit", "all", "any", "xor", "len"];

/// The example of docs/write-a-block.md, which says what its fields are.
const EXAMPLE: &str = "tests/write_a_block.rs";

/// The cell that `derive(Block)` itself stands on.
const BY_HAND: &str = "cells/register.rs";

struct Lint<'a> {
    file: &'a Path,
    found: Vec<String>,
}

impl Lint<'_> {
    fn report(&mut self, what: impl std::fmt::Display) {
        self.found.push(format!("{}: {what}", self.file.display()));
    }
}

fn is_index(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::MethodCall(call) => call.method == "index",
        syn::Expr::Paren(inner) => is_index(&inner.expr),
        _ => false,
    }
}

/// `self.anything.PORT.next`
fn is_port(expr: &syn::Expr, port: &str) -> bool {
    let syn::Expr::Field(next) = expr else { return false };
    let syn::Expr::Field(field) = &*next.base else { return false };
    let is = |member: &syn::Member, name: &str| matches!(member, syn::Member::Named(ident) if ident == name);
    is(&next.member, "next") && is(&field.member, port) && !matches!(&*field.base, syn::Expr::Path(_))
}

/// `self.PORT.val()`
fn is_own(expr: &syn::Expr, port: &str) -> bool {
    let syn::Expr::MethodCall(call) = expr else { return false };
    let syn::Expr::Field(field) = &*call.receiver else { return false };
    let own = matches!(&*field.base, syn::Expr::Path(path) if path.path.is_ident("self"));
    call.method == "val" && own && matches!(&field.member, syn::Member::Named(ident) if ident == port)
}

/// `Default::default()`
fn is_default(expr: &syn::Expr) -> bool {
    let syn::Expr::Call(call) = expr else { return false };
    let syn::Expr::Path(path) = &*call.func else { return false };
    let names: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    names == ["Default", "default"]
}

impl<'ast> Visit<'ast> for Lint<'_> {
    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if arm.guard.is_some() {
            self.report("a match guard is dropped: use `if` inside the arm");
        }
        syn::visit::visit_arm(self, arm);
    }
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func {
            let names: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let last = names.last().map(String::as_str).unwrap_or_default();
            let known = match names.as_slice() {
                [_] => CALLS.contains(&last),
                [first, ..] => matches!(last, "join" | "link") || first == "Bits",
                [] => false,
            };
            if !known {
                self.report(format!(
                    "the call of `{}` does not mean in Verilog what it does in Rust",
                    names.join("::")
                ));
            }
        }
        syn::visit::visit_expr_call(self, call);
    }
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if !METHODS.contains(&call.method.to_string().as_str()) {
            self.report(format!("`.{}()` is not known to translate as it runs", call.method));
        }
        syn::visit::visit_expr_method_call(self, call);
    }
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.is_ident("dff_setup") || call.path.is_ident("clock") {
            self.report("`derive(Block)` clocks and holds the cells");
        }
    }
    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        for port in ["clock", "reset"] {
            if is_port(&assign.left, port) && is_own(&assign.right, port) {
                self.report(format!("`derive(Block)` gives the cells the block's own {port}"));
            }
        }
        syn::visit::visit_expr_assign(self, assign);
    }
    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        use syn::BinOp::*;
        let arithmetic = matches!(binary.op, Add(_) | Sub(_) | Mul(_) | Shl(_) | BitAnd(_) | BitOr(_) | BitXor(_));
        if arithmetic && (is_index(&binary.left) || is_index(&binary.right)) {
            self.report("arithmetic on `index()` wraps in Verilog but not in Rust: compute with `Bits`");
        }
        if matches!(binary.op, Div(_) | Rem(_)) {
            self.report("division does not translate");
        }
        syn::visit::visit_expr_binary(self, binary);
    }
}

/// Finds the functions with `#[hdl_gen]`, and what the form of a block has no place for.
struct Kernels<'a>(Lint<'a>, usize);

impl<'ast> Visit<'ast> for Kernels<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let derives = |attribute: &&syn::Attribute| attribute.path().is_ident("derive");
        let mut by_rust_hdl = false;
        for attribute in item.attrs.iter().filter(derives) {
            let _ = attribute.parse_nested_meta(|meta| {
                by_rust_hdl |= meta.path.is_ident("LogicBlock");
                Ok(())
            });
        }
        if by_rust_hdl && !self.0.file.ends_with(BY_HAND) {
            self.0.report(format!("`{}` is not a `derive(Block)`", item.ident));
        }
    }
    fn visit_expr_struct(&mut self, constructor: &'ast syn::ExprStruct) {
        let lists = constructor.path.is_ident("Self") && constructor.fields.iter().any(|field| is_default(&field.expr));
        if lists && !self.0.file.ends_with(BY_HAND) {
            self.0.report("`derive(Block)` and `derive(Default)` know the defaults");
        }
        syn::visit::visit_expr_struct(self, constructor);
    }
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if function.attrs.iter().any(|attribute| attribute.path().is_ident("hdl_gen")) {
            self.1 += 1;
            self.0.visit_block(&function.block);
        }
        syn::visit::visit_impl_item_fn(self, function);
    }
}

/// What rustc would say, if it did not say the same of methods that rust-hdl's derives write.
struct Documented<'a>(Lint<'a>);

impl Documented<'_> {
    fn look(&mut self, visibility: &syn::Visibility, attributes: &[syn::Attribute], name: impl std::fmt::Display) {
        let public = matches!(visibility, syn::Visibility::Public(_));
        if public && !attributes.iter().any(|attribute| attribute.path().is_ident("doc")) {
            self.0.report(format!("`{name}` is public and has no documentation"));
        }
    }
}

impl<'ast> Visit<'ast> for Documented<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.look(&item.vis, &item.attrs, &item.ident);
        for field in item.fields.iter().filter(|field| field.ident.is_some()) {
            self.look(&field.vis, &field.attrs, format!("{}::{}", item.ident, field.ident.as_ref().unwrap()));
        }
    }
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.look(&item.vis, &item.attrs, &item.ident);
        for variant in &item.variants {
            self.look(&item.vis, &variant.attrs, format!("{}::{}", item.ident, variant.ident));
        }
    }
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.look(&item.vis, &item.attrs, &item.sig.ident);
    }
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.look(&item.vis, &item.attrs, &item.ident);
    }
    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.look(&item.vis, &item.attrs, &item.ident);
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(&item.vis, &item.attrs, &item.sig.ident);
    }
}

/// Whether the file as a whole is free of rustc's lint.
fn allows_missing_docs(file: &syn::File) -> bool {
    let mut allows = false;
    for attribute in file.attrs.iter().filter(|attribute| attribute.path().is_ident("allow")) {
        let _ = attribute.parse_nested_meta(|meta| {
            allows |= meta.path.is_ident("missing_docs");
            Ok(())
        });
    }
    allows
}

/// Complaints about one file, and how many kernels it has.
fn lint(file: &Path, text: &str) -> (Vec<String>, usize) {
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut kernels = Kernels(Lint { file, found: vec![] }, 0);
    kernels.visit_file(&parsed);
    let Kernels(mut lint, kernels) = kernels;
    if allows_missing_docs(&parsed) && !file.ends_with(EXAMPLE) {
        let mut documented = Documented(lint);
        documented.visit_file(&parsed);
        lint = documented.0;
    }
    (lint.found, kernels)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the source folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn sources_are_clean() {
    let mut files = vec![];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources(&root.join("src"), &mut files);
    files.push(root.join(EXAMPLE));
    sources(&root.join("../examples/own-device/src"), &mut files);
    files.sort();
    let mut kernels = 0;
    let mut all = vec![];
    for file in &files {
        let (found, count) = lint(file, &std::fs::read_to_string(file).expect("a source file"));
        all.extend(found);
        kernels += count;
    }
    assert!(kernels >= 15, "only {kernels} kernels found");
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn every_rule_finds_its_mistake() {
    let kernel = |body: &str| format!("impl Logic for X {{ #[hdl_gen] fn update(&mut self) {{ {body} }} }}");
    let complaints = |body: &str| lint(Path::new("x.rs"), &kernel(body)).0;
    let finds = |body: &str, what: &str| {
        let found = complaints(body);
        assert!(found.len() == 1 && found[0].contains(what), "{body}: {found:?}");
    };
    finds("match self.a.val() { A::B if self.c.val() => {} _ => {} }", "match guard");
    finds("self.a.next = bits_of(self.b.val());", "`bits_of`");
    finds("self.a.next = signed_bit_cast::<8, 4>(self.b.val());", "`signed_bit_cast`");
    finds("self.a.next = Helper::bits(self.b.val());", "`Helper::bits`");
    finds("self.a.next = self.b.val().index() + 1 == self.c.val().index();", "arithmetic on `index()`");
    finds("self.a.next = self.b.val().reverse();", "`.reverse()`");
    finds("dff_setup!(self, clock, a);", "clocks and holds");
    finds("self.a[0].reset.next = self.reset.val();", "the block's own reset");
    assert!(complaints("self.a.reset.next = self.clear.val(); self.reset.next = self.reset.val();").is_empty());
    let block = |text: &str| lint(Path::new("x.rs"), text).0;
    assert!(
        block("#[derive(LogicBlock, Default)] struct X { a: Signal<In, Bit> }")[0].contains("not a `derive(Block)`")
    );
    assert!(block("impl X { fn new() -> Self { Self { a: Default::default() } } }")[0].contains("know the defaults"));
    let bare =
        "#![allow(missing_docs)] /// A.\npub struct A { pub b: Bit, c: Bit } pub enum D { /// E.\nE, F } pub fn g() {}";
    let missing: Vec<_> = block(bare).iter().map(|found| found.split('`').nth(1).unwrap().to_string()).collect();
    assert_eq!(missing, ["A::b", "D", "D::F", "g"]);
    assert!(block(&bare.replace("#![allow(missing_docs)]", "")).is_empty(), "rustc's own affair");
    finds("for i in 0..4 { self.a[i].next = self.b.val().get_bit(i / 2); }", "division");
    assert!(complaints("Sink::<T>::link(&mut self.a, &mut self.b.c); self.d.next = bit_cast::<8, 4>(self.e.val());")
        .is_empty());
    let outside = "impl Logic for X { fn update(&mut self) { let x = bits_of(1); } }";
    assert_eq!(lint(Path::new("x.rs"), outside), (vec![], 0));
}
