//! Links the executables statically, from a plain `cargo build`: they run on hosts whose C library nobody knows.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(folder) = env::var_os("OUT_DIR") else { return };
    // The compiler asks for shared libraries by name, whatever else it is told. Here it finds linker scripts under
    // these names that lead to the static ones; of libgcc_s there is none, what is needed of it is in libgcc_eh.
    let of_c = ["util", "rt", "pthread", "m", "dl"].map(|name| (name, format!("INPUT ( -l:lib{name}.a )\n")));
    let scripts = of_c.into_iter().chain([
        ("gcc_s", "INPUT ( -l:libgcc_eh.a -l:libgcc.a -l:libc.a )\n".to_owned()),
        ("c", "INPUT ( -l:libc.a -l:libgcc_eh.a -l:libgcc.a )\n".to_owned()),
    ]);
    for (name, script) in scripts {
        if fs::write(Path::new(&folder).join(format!("lib{name}.so")), script).is_err() {
            return;
        }
    }
    println!("cargo::rustc-link-arg-bins=-L{}", Path::new(&folder).display());
    for argument in ["-static", "-no-pie"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    if env::var("PROFILE").as_deref() == Ok("release") {
        for argument in ["-s", "-Wl,--gc-sections", "-Wl,-O2"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
        // Only the linker that comes with the compiler, and that is the default on this machine kind alone, knows it.
        if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
            println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        }
    }
}
