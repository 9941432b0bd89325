//! A crate's sources as a tree of modules.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use syn::{Attribute, Item, ItemMod, Visibility};

/// A module with everything in it but tests.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Everything but modules, in the order of the file.
    pub(super) items: Vec<Item>,
    /// Modules in it, by name.
    pub(super) modules: BTreeMap<String, Child>,
}

/// A module in another.
#[derive(Debug)]
pub(super) struct Child {
    /// Everybody may name it who may name the outer one.
    pub(super) public: bool,
    /// Its attributes.
    pub(super) attributes: Vec<Attribute>,
    pub(super) module: Module,
}

impl Module {
    /// Reads the module whose file this is, with all below it.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("parse {}", file.display()))?;
        let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "mod") | None => file.with_file_name(""),
            Some(stem) => file.with_file_name(stem),
        };
        Self::new(parsed.items, &folder)
    }

    fn new(items: Vec<Item>, folder: &Path) -> Result<Self> {
        let mut module = Self::default();
        for item in items {
            match item {
                Item::Mod(inner) if is_test(&inner.attrs) => drop(inner),
                Item::Mod(inner) => {
                    let (name, child) = child(inner, folder)?;
                    module.modules.insert(name, child);
                }
                other => module.items.push(other),
            }
        }
        Ok(module)
    }
}

fn child(inner: ItemMod, folder: &Path) -> Result<(String, Child)> {
    let name = inner.ident.to_string();
    if inner.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
        bail!("module {name} in {} has its file elsewhere, which is not understood here", folder.display());
    }
    let module = match inner.content {
        Some((_, items)) => Module::new(items, &folder.join(&name))?,
        None => {
            let files = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
            let file = files.iter().find(|file| file.is_file());
            Module::read(file.with_context(|| format!("module {name} has no file in {}", folder.display()))?)?
        }
    };
    let public = matches!(inner.vis, Visibility::Public(_));
    Ok((name, Child { public, attributes: inner.attrs, module }))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}
