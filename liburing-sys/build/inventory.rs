//! A list of all that is bound, for this crate's tests: they compile it, so it holds rustc's own numbers, and compare
//! it with C.

use std::fmt::Write as _;

use syn::{Fields, ForeignItem, GenericArgument, Item, PathArguments, Type};

/// What bindgen made of a C union that Rust cannot copy: a struct with this as its bytes.
const UNION_BYTES: &str = "bindgen_union_field";
const HELPERS: [&str; 2] = ["__IncompleteArrayField", "__BindgenUnionField"];

pub(crate) struct Inventory(Vec<Item>);

impl Inventory {
    pub(crate) fn of(bindings: &str) -> Result<Self, String> {
        let file = syn::parse_file(bindings)
            .map_err(|error| format!("bindgen's own output is no Rust: {error}"))?;
        Ok(Self(file.items))
    }

    /// The names of all functions.
    pub(crate) fn functions(&self) -> Vec<String> {
        let blocks = self.0.iter().filter_map(|item| match item {
            Item::ForeignMod(block) => Some(&block.items),
            _ => None,
        });
        let function = |item: &ForeignItem| match item {
            ForeignItem::Fn(function) => Some(function.sig.ident.to_string()),
            _ => None,
        };
        blocks.flatten().filter_map(function).collect()
    }

    /// `(functions, constants, types, fields)`, to be included where `sys` is the crate.
    pub(crate) fn write(&self) -> String {
        let mut lists = [const { String::new() }; 4];
        let [functions, constants, types, fields] = &mut lists;
        for name in self.functions() {
            let _ = writeln!(functions, "(\"{name}\", sys::{name} as *const ()),");
        }
        for item in &self.0 {
            if let Item::Const(constant) = item {
                let name = &constant.ident;
                if name != "_" {
                    let _ = writeln!(constants, "(\"{name}\", sys::{name} as i128),");
                }
            } else if let Some((name, in_c)) = named_type(item) {
                let size = format!("size_of::<sys::{name}>(), align_of::<sys::{name}>()");
                let _ = writeln!(types, "(\"{in_c}\", {size}),");
                for (path, offset) in self.fields(&name) {
                    let _ = writeln!(fields, "(\"{in_c}\", \"{path}\", {offset}),");
                }
            }
        }
        format!("(&[\n{functions}],\n&[\n{constants}],\n&[\n{types}],\n&[\n{fields}])\n")
    }

    /// The fields as C names them, with those of unnamed structs and unions, and a Rust expression for the offset.
    fn fields(&self, of: &str) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (field, part) in self.own_fields(of) {
            let offset = format!("offset_of!(sys::{of}, {field})");
            let prefix = if field.starts_with("__bindgen_anon_") {
                String::new()
            } else {
                // bindgen gives names that are keywords of Rust an underscore; C's own do not end in one.
                let field = field.trim_end_matches('_').to_owned();
                all.push((field.clone(), offset.clone()));
                field + "."
            };
            for (path, inner) in part.iter().flat_map(|part| self.fields(part)) {
                all.push((format!("{prefix}{path}"), format!("{offset} + {inner}")));
            }
        }
        all
    }

    /// Each field with, where it is an unnamed struct or union, the name that bindgen gave to its type.
    fn own_fields(&self, of: &str) -> Vec<(String, Option<String>)> {
        let fields = self.0.iter().find_map(|item| match item {
            Item::Struct(item) if item.ident == of => match &item.fields {
                Fields::Named(fields) => Some(&fields.named),
                _ => None,
            },
            Item::Union(item) if item.ident == of => Some(&item.fields.named),
            _ => None,
        });
        let known =
            |field: &syn::Field| Some((field.ident.as_ref()?.to_string(), unnamed(&field.ty)));
        fields
            .into_iter()
            .flatten()
            .filter_map(known)
            .filter(|(name, _)| name != UNION_BYTES)
            .collect()
    }
}

/// A struct or union that has a name in C: that name in Rust and in C.
fn named_type(item: &Item) -> Option<(String, String)> {
    let (keyword, name) = match item {
        Item::Struct(item) => ("struct", item.ident.to_string()),
        Item::Union(item) => ("union", item.ident.to_string()),
        _ => return None,
    };
    let made_up = name.contains("__bindgen_ty_") || HELPERS.contains(&name.as_str());
    (!made_up && !incomplete(item)).then(|| (name.clone(), format!("{keyword} {name}")))
}

/// `struct futex_waitv;` is all that older kernel headers know of it; C has no size for it either.
fn incomplete(item: &Item) -> bool {
    let Item::Struct(item) = item else { return false };
    item.fields.iter().any(|field| field.ident.as_ref().is_some_and(|name| name == "_unused"))
}

/// The `X__bindgen_ty_1` in `X__bindgen_ty_1` and `__BindgenUnionField<X__bindgen_ty_1>`.
fn unnamed(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    if let PathArguments::AngleBracketed(inner) = &last.arguments {
        return inner.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => unnamed(ty),
            _ => None,
        });
    }
    let name = last.ident.to_string();
    name.contains("__bindgen_ty_").then_some(name)
}
