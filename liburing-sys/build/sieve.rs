//! Which of many names do not compile or link, asked in as few runs as possible.

use crate::compiler::Verdict;
use crate::help::Failure;

/// Halves the names until each refused one stands alone. Mostly none is refused, and one run tells so.
pub(crate) fn refused<'a>(
    names: &[&'a str],
    try_out: &dyn Fn(&[&str]) -> Result<Verdict, Failure>,
) -> Result<Vec<&'a str>, Failure> {
    if names.is_empty() || try_out(names)?.is_ok() {
        return Ok(Vec::new());
    }
    if names.len() == 1 {
        return Ok(names.to_vec());
    }
    let (left, right) = names.split_at(names.len() / 2);
    Ok([refused(left, try_out)?, refused(right, try_out)?].concat())
}
