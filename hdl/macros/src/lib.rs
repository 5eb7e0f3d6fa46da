//! `derive(Block)` and `derive(Bundle)` for the blocks of `virtio-hdl-rtl`; see its module `block`.
mod bundle;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Field, Fields, Ident, Type};

/// Makes a struct of signals and cells a block of rust-hdl: its traits `Block` and `Clocked`, and its constructor.
///
/// - **Clock, reset, hold.** Before `update`, every cell with a `clock` gets the block's own, every cell with a `reset` gets the
///   block's own, and every register keeps its value (`d = q`). What `update` assigns comes later, and wins.
/// - **Constructor.** Without fields marked `#[given]` the block implements `Default`. With some, `NAME::with(NAMEGiven { .. })`
///   takes those, and the rest is `Default`. Both are private to the module, for its own `new`.
///
/// - **Docs.** The doc comments of the struct and of its fields become comments in the Verilog.
///
/// Fields whose names begin with `_` are Rust's alone, as with rust-hdl's `derive(LogicBlock)`.
#[proc_macro_derive(Block, attributes(given))]
pub fn block(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a struct of ports one end of a bundle, and writes the other end, the struct that `#[mirror(NAME)]` names, with all directions
/// turned. Of the two it is one to be in a block's interface, as with rust-hdl's `derive(LogicInterface)`: `NAME::join` connects one end with the
/// other, `NAME::link` a block's own with that of a block inside. The doc comments of the ports become comments in the Verilog.
#[proc_macro_derive(Bundle, attributes(mirror))]
pub fn bundle(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    bundle::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Names that rust-hdl's printer cannot carry, hence its own derive refuses them.
const REFUSED: [&str; 6] = ["config", "wire", "reg", "module", "edge", "disable"];

fn derive(input: &DeriveInput) -> syn::Result<Tokens> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(input, "a block is a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new_spanned(input, "a block's fields have names"));
    };
    let fields: Vec<&Field> = fields.named.iter().collect();
    if let Some(field) = fields.iter().find(|field| REFUSED.iter().any(|name| name_of(field) == name)) {
        return Err(syn::Error::new_spanned(field, "a keyword of Verilog"));
    }
    let parts = [block_trait(input, &fields), clocked_trait(input, &fields), constructor(input, &fields)];
    Ok(parts.into_iter().collect())
}

fn name_of(field: &Field) -> &Ident {
    field.ident.as_ref().expect("fields of a block have names")
}

/// The last part of the type's path: `Signal` of `rust_hdl::prelude::Signal<In, Bit>`.
fn type_name(field: &Field) -> String {
    match &field.ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Signals, constants and streams have no clock: the evaluator need not ask them in every step.
fn may_be_clocked(field: &Field) -> bool {
    !["Signal", "Constant", "Source", "Sink"].contains(&type_name(field).as_str())
}

fn has(fields: &[&Field], name: &str) -> bool {
    fields.iter().any(|field| name_of(field) == name && type_name(field) == "Signal")
}

/// rust-hdl's `Block`, as its own derive writes it, but for what the cells get.
fn block_trait(input: &DeriveInput, fields: &[&Field]) -> Tokens {
    let visible: Vec<&&Field> = fields.iter().filter(|field| !name_of(field).to_string().starts_with('_')).collect();
    let names: Vec<&Ident> = visible.iter().map(|field| name_of(field)).collect();
    let texts: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let cells: Vec<&Ident> = visible.iter().filter(|field| may_be_clocked(field)).map(|field| name_of(field)).collect();
    let (mut connect, mut follow) = (quote!(), quote!());
    if has(fields, "clock") && !cells.is_empty() {
        let resets = has(fields, "reset");
        let reset = if resets { quote!(Some(self.reset.val())) } else { quote!(None) };
        connect = quote!(#(::virtio_hdl_rtl::block::Clocked::adopt(&mut self.#cells, #resets);)*);
        follow = quote! {
            let (clock, reset) = (self.clock.val(), #reset);
            #(::virtio_hdl_rtl::block::Clocked::follow(&mut self.#cells, clock, reset);)*
        };
    }
    // The first step evaluates everything: a signal is marked as changed for it.
    let settled = visible.iter().find(|field| type_name(field) == "Signal").map(|field| {
        let first = name_of(field);
        connect.extend(quote!(self.#first.changed = true;));
        quote! {
            let news = false #(|| ::virtio_hdl_rtl::block::Clocked::has_news(&self.#names))*;
            if !news && !::rust_hdl::prelude::Block::has_changed(self) {
                return;
            }
        }
    });
    let (name, (generics, arguments, bounds)) = (&input.ident, input.generics.split_for_impl());
    let fields = visible.iter().map(|field| (name_of(field).to_string(), &field.attrs));
    let docs = [(String::new(), &input.attrs)].into_iter().chain(fields);
    let docs = docs.filter_map(|(field, attributes)| {
        let text = doc(attributes)?;
        Some(quote!(::virtio_hdl_rtl::doc_name!(#field, #text)))
    });
    quote! {
        #[automatically_derived]
        impl #generics ::rust_hdl::prelude::Block for #name #arguments #bounds {
            fn connect_all(&mut self) {
                #connect
                ::rust_hdl::prelude::Logic::connect(self);
                #(self.#names.connect_all();)*
            }
            fn update_all(&mut self) {
                #settled
                #follow
                ::rust_hdl::prelude::Logic::update(self);
                #(self.#names.update_all();)*
            }
            fn has_changed(&self) -> bool {
                false #(|| self.#names.has_changed())*
            }
            fn accept(&self, name: &str, probe: &mut dyn ::rust_hdl::prelude::Probe) {
                probe.visit_start_scope(name, self);
                ::virtio_hdl_rtl::block::describe(self, &[#(#docs),*], probe);
                #(self.#names.accept(#texts, probe);)*
                probe.visit_end_scope(name, self);
            }
        }
    }
}

/// How the block itself is clocked and reset by the one that it is in.
fn clocked_trait(input: &DeriveInput, fields: &[&Field]) -> Tokens {
    let (mut adopt, mut follow) = (quote!(), quote!());
    if has(fields, "clock") {
        adopt.extend(quote!(self.clock.connect();));
        follow.extend(quote!(self.clock.next = clock;));
    }
    if has(fields, "reset") {
        adopt.extend(quote!(if reset {
            self.reset.connect();
        }));
        follow.extend(quote!(if let Some(reset) = reset {
            self.reset.next = reset;
        }));
    }
    let (name, (generics, arguments, bounds)) = (&input.ident, input.generics.split_for_impl());
    quote! {
        #[automatically_derived]
        #[allow(unused_variables, reason = "a block without clock or reset does not use them")]
        impl #generics ::virtio_hdl_rtl::block::Clocked for #name #arguments #bounds {
            fn adopt(&mut self, reset: bool) {
                #adopt
            }
            fn follow(&mut self, clock: ::rust_hdl::prelude::Clock, reset: Option<::rust_hdl::prelude::Bit>) {
                #follow
            }
            fn has_news(&self) -> bool {
                false
            }
        }
    }
}

/// The text of doc comments, without the space that each line begins with.
fn doc(attributes: &[syn::Attribute]) -> Option<String> {
    let line = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => {
                let text = text.value();
                Some(text.strip_prefix(' ').map(String::from).unwrap_or(text))
            }
            _ => None,
        },
        _ => None,
    };
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn is_given(field: &Field) -> bool {
    field.attrs.iter().any(|attribute| attribute.path().is_ident("given"))
}

fn constructor(input: &DeriveInput, fields: &[&Field]) -> Tokens {
    let (name, (generics, arguments, bounds)) = (&input.ident, input.generics.split_for_impl());
    let (given, rest): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(|field| is_given(field));
    let rest: Vec<&Ident> = rest.into_iter().map(name_of).collect();
    if given.is_empty() {
        return quote! {
            #[automatically_derived]
            impl #generics Default for #name #arguments #bounds {
                fn default() -> Self {
                    Self { #(#rest: Default::default(),)* }
                }
            }
        };
    }
    let given_name = format_ident!("{name}Given");
    let (names, types): (Vec<&Ident>, Vec<&Type>) = given.iter().map(|field| (name_of(field), &field.ty)).unzip();
    let parameters = &input.generics;
    let what = format!("What a [`{name}`] is made from.");
    quote! {
        #[doc = #what]
        struct #given_name #parameters #bounds {
            #(#names: #types,)*
        }
        impl #generics #name #arguments #bounds {
            fn with(given: #given_name #arguments) -> Self {
                Self { #(#names: given.#names,)* #(#rest: Default::default(),)* }
            }
        }
    }
}
