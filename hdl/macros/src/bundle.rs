//! `derive(Bundle)`: ports that belong together, and the same ports seen from the other end.
use crate::{doc, name_of};
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Field, Fields, GenericArgument, Ident, PathArguments, Type};

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<Tokens> {
    let fail = |reason| syn::Error::new_spanned(input, reason);
    let Data::Struct(data) = &input.data else { return Err(fail("a bundle is a struct")) };
    let Fields::Named(fields) = &data.fields else { return Err(fail("a bundle's fields have names")) };
    if !input.generics.params.is_empty() {
        return Err(fail("a bundle has no parameters"));
    }
    let Some(mirror) = input.attrs.iter().find(|attribute| attribute.path().is_ident("mirror")) else {
        return Err(fail("`#[mirror(NAME)]` names the other end"));
    };
    let mirror: Ident = mirror.parse_args()?;
    let here: Vec<Field> = fields.named.iter().cloned().collect();
    let there = here.iter().map(turned).collect::<syn::Result<Vec<Field>>>()?;
    let (name, visible) = (&input.ident, &input.vis);
    let what = format!("The other end of [`{name}`].");
    let ends = [end(name, &mirror, &here), end(&mirror, name, &there)];
    Ok(quote! {
        #[doc = #what]
        #[derive(Default)]
        #visible struct #mirror {
            #(#there,)*
        }
        #(#ends)*
    })
}

/// The port with `Signal<Out, T>` for `Signal<In, T>`, and the other way round.
fn turned(port: &Field) -> syn::Result<Field> {
    let mut turned = port.clone();
    match direction(&mut turned.ty) {
        Some(direction) if direction == "In" => *direction = format_ident!("Out"),
        Some(direction) if direction == "Out" => *direction = format_ident!("In"),
        _ => return Err(syn::Error::new_spanned(port, "not a `Signal<In, _>` or `Signal<Out, _>`")),
    }
    Ok(turned)
}

/// `D` of `Signal<D, T>`.
fn direction(signal: &mut Type) -> Option<&mut Ident> {
    let Type::Path(path) = signal else { return None };
    let last = path.path.segments.last_mut().filter(|last| last.ident == "Signal")?;
    let PathArguments::AngleBracketed(arguments) = &mut last.arguments else { return None };
    match arguments.args.first_mut() {
        Some(GenericArgument::Type(Type::Path(path))) => path.path.segments.last_mut().map(|last| &mut last.ident),
        _ => None,
    }
}

/// What rust-hdl's `derive(LogicInterface)` writes for one end, and the docs of its ports.
fn end(name: &Ident, other: &Ident, ports: &[Field]) -> Tokens {
    let names: Vec<&Ident> = ports.iter().map(name_of).collect();
    let texts: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let types: Vec<&Type> = ports.iter().map(|port| &port.ty).collect();
    let docs = ports.iter().zip(&texts).filter_map(|(port, name)| {
        let text = doc(&port.attrs)?;
        Some(quote!(::virtio_hdl_rtl::doc_name!(#name, #text)))
    });
    let verilog = |function: &Ident| {
        quote! {
            fn #function(mine: &str, this: &str, that: &str) -> Vec<::rust_hdl::prelude::ast::VerilogLink> {
                let mut links = vec![];
                #(links.extend(<#types>::#function(&format!("{mine}.{}", #texts), this, that));)*
                links
            }
        }
    };
    let (link_verilog, join_verilog) = (verilog(&format_ident!("link_hdl")), verilog(&format_ident!("join_hdl")));
    let join_doc = format!("Joins it with a [`{other}`]: each output drives the input of the same name.");
    quote! {
        impl #name {
            #[doc = #join_doc]
            pub fn join(&mut self, other: &mut #other) {
                #(self.#names.join(&mut other.#names);)*
            }
        }
        #[automatically_derived]
        impl ::virtio_hdl_rtl::block::Clocked for #name {
            fn has_news(&self) -> bool {
                false #(|| self.#names.has_news())*
            }
        }
        #[automatically_derived]
        impl ::rust_hdl::prelude::Logic for #name {
            fn update(&mut self) {}
        }
        #[automatically_derived]
        impl ::rust_hdl::prelude::Block for #name {
            fn connect_all(&mut self) {
                #(self.#names.connect_all();)*
            }
            fn update_all(&mut self) {
                #(self.#names.update_all();)*
            }
            fn has_changed(&self) -> bool {
                false #(|| self.#names.has_changed())*
            }
            fn accept(&self, name: &str, probe: &mut dyn ::rust_hdl::prelude::Probe) {
                probe.visit_start_namespace(name, self);
                ::virtio_hdl_rtl::block::describe(self, &[#(#docs),*], probe);
                #(self.#names.accept(#texts, probe);)*
                probe.visit_end_namespace(name, self);
            }
        }
        #[automatically_derived]
        impl ::rust_hdl::prelude::LogicLink for #name {
            fn link(&mut self, other: &mut Self) {
                #(self.#names.link(&mut other.#names);)*
            }
            fn link_connect_source(&mut self) {
                #(self.#names.link_connect_source();)*
            }
            fn link_connect_dest(&mut self) {
                #(self.#names.link_connect_dest();)*
            }
            #link_verilog
        }
        #[automatically_derived]
        impl ::rust_hdl::prelude::LogicJoin for #name {
            fn join_connect(&mut self) {
                #(self.#names.join_connect();)*
            }
            #join_verilog
        }
    }
}
