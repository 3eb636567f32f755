//! Compiles the `.proto` files of `proto/` into one set of descriptors, which gRPC's reflection service hands out.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut compiler = protox::Compiler::new([&folder])?;
    compiler.include_imports(true).open_files(proto_files(&folder)?)?;
    let target = Path::new(&env::var("OUT_DIR")?).join("descriptors.binpb");
    fs::write(target, compiler.encode_file_descriptor_set())?;
    Ok(())
}

/// All of them, in folders too, in the same order everywhere.
fn proto_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
