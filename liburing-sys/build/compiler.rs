//! The C compiler of the target, as the cc crate finds it. Programs are compiled and linked, never run.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::find::Liburing;
use crate::help::{Failure, Missing};

pub(crate) struct Compiler {
    tool: cc::Tool,
    folder: PathBuf,
    wrapper: PathBuf,
    link: Vec<OsString>,
    runs: AtomicUsize,
}

/// What the compiler said of a program: nothing, or why not.
pub(crate) type Verdict = Result<(), String>;

/// The settings that probes and the archive of inline functions share.
pub(crate) fn settings(found: &Liburing) -> cc::Build {
    let mut build = cc::Build::new();
    build.cargo_metadata(false).cargo_warnings(false).warnings(false).includes(&found.include_dirs);
    build
}

impl Compiler {
    pub(crate) fn new(found: &Liburing, wrapper: &Path, out: &Path) -> Result<Self, Failure> {
        let tool = settings(found).opt_level(0).try_get_compiler().map_err(|error| {
            Failure::new(Missing::Compiler, format!("there is no C compiler: {error}."))
        })?;
        let folder = out.join("probes");
        fs::create_dir_all(&folder).map_err(|error| {
            Failure::plain(format!("could not make {}: {error}", folder.display()))
        })?;
        let (wrapper, link) = (wrapper.to_owned(), link_arguments(found));
        Ok(Self { tool, folder, wrapper, link, runs: AtomicUsize::new(0) })
    }

    pub(crate) fn path(&self) -> &Path {
        self.tool.path()
    }

    /// wrapper.h after preprocessing, with every `#define` and the file it is in (`-dD`).
    pub(crate) fn preprocess(&self) -> Result<Result<String, String>, Failure> {
        let output = self.run(self.command().args(["-E", "-dD"]).arg(&self.wrapper))?;
        Ok(match complaint(&output) {
            None => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Some(text) => Err(text),
        })
    }

    /// Whether these declarations compile after liburing.h.
    pub(crate) fn compiles(&self, declarations: &str) -> Result<Verdict, Failure> {
        let source = self.write(declarations)?;
        let output = self.run(self.command().arg("-fsyntax-only").arg(source))?;
        Ok(complaint(&output).map_or(Ok(()), Err))
    }

    /// Whether a program that takes the address of every one of these functions links.
    ///
    /// Taking an address has no implicit declaration to fall back to, and storing it through a volatile
    /// pointer keeps the optimizer from dropping the reference.
    pub(crate) fn links(&self, functions: &[&str]) -> Result<Verdict, Failure> {
        let mut body = String::from("void *volatile address;\nint main(void)\n{\n");
        for name in functions {
            body += &format!("\taddress = (void *)&{name};\n");
        }
        let source = self.write(&(body + "\treturn 0;\n}\n"))?;
        let program = source.with_extension("out");
        let output =
            self.run(self.command().arg("-o").arg(&program).arg(source).args(&self.link))?;
        Ok(complaint(&output).map_or(Ok(()), Err))
    }

    /// Removes the programs, of which there are more than a hundred.
    pub(crate) fn tidy(&self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.folder).map_err(|error| {
            Failure::plain(format!("could not remove {}: {error}", self.folder.display()))
        })
    }

    fn command(&self) -> Command {
        let mut command = self.tool.to_command();
        // Warnings are nobody's business here, whatever CFLAGS asks for; messages are quoted to the reader.
        command.arg("-w").env("LC_ALL", "C");
        command
    }

    fn run(&self, command: &mut Command) -> Result<Output, Failure> {
        let path = self.path().display();
        let output = command.output().map_err(|error| {
            Failure::new(
                Missing::Compiler,
                format!("could not run the C compiler {path}: {error}."),
            )
        })?;
        // Killed, for want of memory perhaps: that says nothing of liburing.
        match output.status.code() {
            Some(_) => Ok(output),
            None => Err(Failure::plain(format!(
                "the C compiler {path} did not end by itself: {}.",
                output.status
            ))),
        }
    }

    fn write(&self, body: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.join(format!("{}.c", self.runs.fetch_add(1, Ordering::Relaxed)));
        let source = format!("#include \"{}\"\n{body}", self.wrapper.display());
        fs::write(&path, source).map_err(|error| {
            Failure::plain(format!("could not write {}: {error}", path.display()))
        })?;
        Ok(path)
    }
}

/// What the compiler says of a failed run, cut to the lines that tell.
fn complaint(output: &Output) -> Option<String> {
    if output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let telling: Vec<&str> = text
        .lines()
        .filter(|line| ["error", "undefined", "cannot find"].iter().any(|word| line.contains(word)))
        .take(4)
        .collect();
    Some(if telling.is_empty() {
        text.lines().take(4).collect::<Vec<_>>().join("\n")
    } else {
        telling.join("\n")
    })
}

fn link_arguments(found: &Liburing) -> Vec<OsString> {
    let mut arguments = Vec::new();
    // A target whose programs are wholly static has no use for liburing.so.
    if env::var("CARGO_CFG_TARGET_FEATURE")
        .is_ok_and(|all| all.split(',').any(|one| one == "crt-static"))
    {
        arguments.push("-static".into());
    }
    match &found.archive {
        Some(archive) => arguments.push(archive.into()),
        None => {
            for dir in &found.lib_dirs {
                arguments.push("-L".into());
                arguments.push(dir.into());
            }
            arguments.push("-luring".into());
        }
    }
    arguments
}
