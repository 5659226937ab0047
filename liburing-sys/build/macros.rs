//! The value and type of every macro constant.
//!
//! bindgen evaluates macros by itself, but not all: casts, `1U << AN_ENUMERATOR` and `~0U` are lost, and it takes the
//! type from the value. So each macro is made an enumerator, which clang must evaluate, and its type is the one it
//! has in C. That way a constant has the same Rust type with every liburing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use bindgen::callbacks::{EnumVariantCustomBehavior, EnumVariantValue, ParseCallbacks};

use crate::compiler::Compiler;
use crate::header::Header;
use crate::help::Failure;
use crate::sieve;

const VALUE: &str = "uring_pool_value_";
const BYTES: &str = "uring_pool_bytes_";

/// `pub const` items for all macros of the headers that are integers.
pub(crate) fn constants(
    compiler: &Compiler,
    header: &Header,
    clang: bindgen::Builder,
    wrapper: &Path,
) -> Result<String, Failure> {
    let names: Vec<&str> = header.macros.iter().map(String::as_str).collect();
    let rest = sieve::refused(&names, &|some| compiler.compiles(&enumerators(some)))?;
    let integers: Vec<&str> = names.into_iter().filter(|name| !rest.contains(name)).collect();

    let source = format!("#include \"{}\"\n{}", wrapper.display(), enumerators(&integers));
    let values = Values::default();
    clang
        .header_contents("macros.h", &source)
        .allowlist_item(format!("{VALUE}.*"))
        .parse_callbacks(Box::new(values.clone()))
        .generate()
        .map_err(|error| {
            Failure::plain(format!("the macros of liburing could not be evaluated: {error}"))
        })?;

    let values = values.0.borrow();
    integers
        .iter()
        .map(|name| {
            let value = values.get(&format!("{VALUE}{name}"));
            let bytes = values.get(&format!("{BYTES}{name}"));
            match (value, bytes) {
                (Some(value), Some(bytes)) => Ok(constant(name, *value, *bytes)),
                _ => Err(Failure::plain(format!("clang gave no value for the macro {name}"))),
            }
        })
        .collect()
}

/// One enum for each, because the largest value decides the type of a whole enum.
fn enumerators(names: &[&str]) -> String {
    let one = |name: &&str| {
        format!(
            "enum {{ {VALUE}{name} = ({name}) }};\nenum {{ {BYTES}{name} = sizeof({name}) }};\n"
        )
    };
    names.iter().map(one).collect()
}

/// The width is C's; the sign is the value's, since a plain `16` is an `int` in C and a shift or a count in truth.
fn constant(name: &str, value: i128, bytes: i128) -> String {
    let sign = if value < 0 { 'i' } else { 'u' };
    let bits = if bytes > 4 { 64 } else { 32 };
    format!("pub const {name}: {sign}{bits} = {value};\n")
}

#[derive(Clone, Debug, Default)]
struct Values(Rc<RefCell<HashMap<String, i128>>>);

impl ParseCallbacks for Values {
    fn enum_variant_behavior(
        &self,
        _enum: Option<&str>,
        variant: &str,
        value: EnumVariantValue,
    ) -> Option<EnumVariantCustomBehavior> {
        let value = match value {
            EnumVariantValue::Signed(value) => value.into(),
            EnumVariantValue::Unsigned(value) => value.into(),
            EnumVariantValue::Boolean(value) => value.into(),
        };
        self.0.borrow_mut().insert(variant.to_owned(), value);
        None
    }
}
