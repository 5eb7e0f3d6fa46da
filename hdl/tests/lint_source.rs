//! Source lint: what `#[hdl_gen]` drops or changes without a word.
//!
//! rust-hdl's macro translates the text of `update`, not its meaning. These pass through it and give Verilog that does
//! something else than the Rust: guards of match arms, functions that happen to be called `bits...`, casts of
//! signed values that change the width, and arithmetic on `index()`, which does not wrap in Rust.
use std::path::{Path, PathBuf};
use syn::visit::Visit;

const CALLS: &[&str] = &["bits", "bit_cast", "signed_cast", "unsigned_cast"];
const METHODS: &[&str] =
    &["val", "into", "index", "to_bits", "get_bit", "get_bits", "replace_bit", "all", "any", "xor", "len"];

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

/// Finds the functions with `#[hdl_gen]`.
struct Kernels<'a>(Lint<'a>, usize);

impl<'ast> Visit<'ast> for Kernels<'_> {
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if function.attrs.iter().any(|attribute| attribute.path().is_ident("hdl_gen")) {
            self.1 += 1;
            self.0.visit_block(&function.block);
        }
    }
}

/// Complaints about one file, and how many kernels it has.
fn lint(file: &Path, text: &str) -> (Vec<String>, usize) {
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut kernels = Kernels(Lint { file, found: vec![] }, 0);
    kernels.visit_file(&parsed);
    (kernels.0.found, kernels.1)
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
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
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
    finds("for i in 0..4 { self.a[i].next = self.b.val().get_bit(i / 2); }", "division");
    assert!(complaints("Sink::<T>::link(&mut self.a, &mut self.b.c); self.d.next = bit_cast::<8, 4>(self.e.val());")
        .is_empty());
    let outside = "impl Logic for X { fn update(&mut self) { let x = bits_of(1); } }";
    assert_eq!(lint(Path::new("x.rs"), outside), (vec![], 0));
}
