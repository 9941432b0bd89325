//! What of a crate another one can name.

use std::collections::BTreeSet;

use syn::{
    Attribute, Fields, ImplItem, Item, ItemImpl, ItemMod, ItemUse, TraitItem, Type, UseTree, Visibility,
    parse_quote,
};

use super::source::Module;

/// Attributes that say how others may use an item, or what it is on the wire.
const SHOWN: [&str; 9] =
    ["cfg", "cfg_attr", "default", "deprecated", "derive", "must_use", "non_exhaustive", "repr", "serde"];

/// The public items as source text.
pub(super) fn text(root: &Module) -> String {
    let mut surface = Surface { root, shown: BTreeSet::new() };
    let mut items = surface.of(root, &[]);
    items.extend(surface.implementations(root));
    let mut file: syn::File = parse_quote!();
    file.items = items;
    prettyplease::unparse(&file)
}

struct Surface<'a> {
    root: &'a Module,
    /// Types that are shown: their implementations are, too.
    shown: BTreeSet<String>,
}

impl Surface<'_> {
    /// The public items of a module.
    fn of(&mut self, module: &Module, path: &[String]) -> Vec<Item> {
        let mut items = Vec::new();
        for item in &module.items {
            match item {
                Item::Use(exported) if is_public(&exported.vis) => {
                    for leaf in leaves(&exported.tree, &[]) {
                        items.push(self.exported(&leaf, exported, path));
                    }
                }
                other => items.extend(self.shown(other.clone())),
            }
        }
        for (name, child) in module.modules.iter().filter(|(_, child)| child.public) {
            let content = self.of(&child.module, &[path, std::slice::from_ref(name)].concat());
            let ident = proc_macro2::Ident::new(name, proc_macro2::Span::call_site());
            let mut inner: ItemMod = parse_quote!(pub mod #ident { #(#content)* });
            inner.attrs = shown_attributes(&child.attributes);
            items.push(Item::Mod(inner));
        }
        items.sort_by_cached_key(order);
        items
    }

    /// An item under a name of another module: itself where nobody could name it otherwise, else the line.
    fn exported(&mut self, leaf: &Leaf, exported: &ItemUse, path: &[String]) -> Item {
        let private = (!leaf.renamed()).then(|| self.find(&leaf.path, path)).flatten().cloned();
        let item = private.and_then(|item| self.shown(item));
        item.unwrap_or_else(|| {
            self.shown.insert(leaf.name.clone());
            let tree = leaf.tree();
            let mut line: ItemUse = parse_quote!(pub use #tree;);
            line.attrs = shown_attributes(&exported.attrs);
            Item::Use(line)
        })
    }

    /// The item at a path, unless a module on the way to it is public or it cannot be seen in the sources.
    fn find(&self, path: &[String], place: &[String]) -> Option<&Item> {
        let (name, modules) = path.split_last()?;
        let at = match modules.split_first() {
            Some((first, rest)) if first == "crate" => rest.to_vec(),
            _ => [place, modules].concat(),
        };
        let mut found = self.root;
        let mut public = true;
        for step in &at {
            let child = found.modules.get(step)?;
            public &= child.public;
            found = &child.module;
        }
        if public {
            return None;
        }
        let is_it =
            |item: &&Item| name_of(item).as_deref() == Some(name) && visibility(item).is_some_and(is_public);
        if let Some(item) = found.items.iter().find(is_it) {
            return Some(item);
        }
        // The private module has it from another one.
        let uses = found.items.iter().filter_map(|item| match item {
            Item::Use(one) => Some(leaves(&one.tree, &[])),
            _ => None,
        });
        let leaf = uses.flatten().find(|leaf| leaf.name == *name && !leaf.renamed())?;
        (leaf.path.len() > 1).then(|| self.find(&leaf.path, &at)).flatten()
    }

    /// An item without what others do not see; absent when they see nothing of it.
    fn shown(&mut self, mut item: Item) -> Option<Item> {
        if !visibility(&item).is_some_and(is_public) {
            return None;
        }
        self.shown.extend(name_of(&item));
        match &mut item {
            Item::Const(one) => one.attrs = shown_attributes(&one.attrs),
            Item::Static(one) => one.attrs = shown_attributes(&one.attrs),
            Item::Type(one) => one.attrs = shown_attributes(&one.attrs),
            Item::Fn(one) => {
                one.attrs = shown_attributes(&one.attrs);
                one.block = parse_quote!({});
            }
            Item::Struct(one) => {
                one.attrs = shown_attributes(&one.attrs);
                hide_fields(&mut one.fields);
            }
            Item::Enum(one) => {
                one.attrs = shown_attributes(&one.attrs);
                for variant in &mut one.variants {
                    variant.attrs = shown_attributes(&variant.attrs);
                    for field in &mut variant.fields {
                        field.attrs = shown_attributes(&field.attrs);
                    }
                }
            }
            Item::Trait(one) => {
                one.attrs = shown_attributes(&one.attrs);
                for inner in &mut one.items {
                    if let TraitItem::Fn(method) = inner {
                        method.attrs = shown_attributes(&method.attrs);
                        method.default = method.default.as_ref().map(|_| parse_quote!({}));
                    }
                }
            }
            _ => {}
        }
        Some(item)
    }

    /// What the shown types can do, wherever in the crate that stands.
    fn implementations(&self, module: &Module) -> Vec<Item> {
        let mut found = Vec::new();
        let mut waiting = vec![module];
        while let Some(module) = waiting.pop() {
            for item in &module.items {
                let Item::Impl(one) = item else { continue };
                let of = type_name(&one.self_ty);
                if of.is_some_and(|name| self.shown.contains(&name)) {
                    found.extend(shown_impl(one.clone()));
                }
            }
            waiting.extend(module.modules.values().map(|child| &child.module));
        }
        merged(found)
    }
}

/// Implementations in order, those of one type that are of no trait as one: where in a file they stand is no API.
fn merged(mut found: Vec<ItemImpl>) -> Vec<Item> {
    let head = |one: &ItemImpl| {
        let empty = ItemImpl { items: Vec::new(), ..one.clone() };
        quote::quote!(#empty).to_string()
    };
    found.sort_by_cached_key(|one| (order(&Item::Impl(one.clone())), head(one)));
    let mut merged: Vec<ItemImpl> = Vec::new();
    for one in found {
        match merged.last_mut() {
            Some(last) if one.trait_.is_none() && head(last) == head(&one) => last.items.extend(one.items),
            _ => merged.push(one),
        }
    }
    for one in &mut merged {
        one.items.sort_by_cached_key(|item| match item {
            ImplItem::Fn(method) => (1, method.sig.ident.to_string()),
            other => (0, quote::quote!(#other).to_string()),
        });
    }
    merged.into_iter().map(Item::Impl).collect()
}

/// An implementation: of a trait its head, else its public items.
fn shown_impl(mut one: ItemImpl) -> Option<ItemImpl> {
    one.attrs = shown_attributes(&one.attrs);
    if one.trait_.is_some() {
        one.items.retain(|item| matches!(item, ImplItem::Type(_)));
        return Some(one);
    }
    one.items.retain_mut(|item| match item {
        ImplItem::Fn(method) => {
            method.attrs = shown_attributes(&method.attrs);
            method.block = parse_quote!({});
            is_public(&method.vis)
        }
        ImplItem::Const(constant) => {
            constant.attrs = shown_attributes(&constant.attrs);
            is_public(&constant.vis)
        }
        _ => false,
    });
    (!one.items.is_empty()).then_some(one)
}

/// Private fields as one that says there are some: nobody else can fill the struct.
fn hide_fields(fields: &mut Fields) {
    let before = fields.len();
    match fields {
        Fields::Named(named) => {
            named.named = named.named.iter().filter(|field| is_public(&field.vis)).cloned().collect();
            for field in &mut named.named {
                field.attrs = shown_attributes(&field.attrs);
            }
            if named.named.len() < before {
                named.named.push(parse_quote!(_private: _));
            }
        }
        Fields::Unnamed(unnamed) => {
            for field in &mut unnamed.unnamed {
                field.attrs = shown_attributes(&field.attrs);
                if !is_public(&field.vis) {
                    field.ty = parse_quote!(_);
                }
            }
        }
        Fields::Unit => {}
    }
}

fn shown_attributes(attributes: &[Attribute]) -> Vec<Attribute> {
    let is_shown = |attribute: &&Attribute| {
        let named = SHOWN.iter().any(|name| attribute.path().is_ident(name));
        // What macros of others read is no API.
        let derives = || {
            let text = quote::quote!(#attribute).to_string();
            ["derive", "serde"].iter().any(|word| text.contains(word))
        };
        named && (!attribute.path().is_ident("cfg_attr") || derives())
    };
    attributes.iter().filter(is_shown).cloned().collect()
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn visibility(item: &Item) -> Option<&Visibility> {
    match item {
        Item::Const(one) => Some(&one.vis),
        Item::Enum(one) => Some(&one.vis),
        Item::Fn(one) => Some(&one.vis),
        Item::Static(one) => Some(&one.vis),
        Item::Struct(one) => Some(&one.vis),
        Item::Trait(one) => Some(&one.vis),
        Item::Type(one) => Some(&one.vis),
        Item::Union(one) => Some(&one.vis),
        _ => None,
    }
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(one) => &one.ident,
        Item::Enum(one) => &one.ident,
        Item::Fn(one) => &one.sig.ident,
        Item::Static(one) => &one.ident,
        Item::Struct(one) => &one.ident,
        Item::Trait(one) => &one.ident,
        Item::Type(one) => &one.ident,
        Item::Union(one) => &one.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Last name of a type, behind references.
fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        Type::Reference(inner) => type_name(&inner.elem),
        _ => None,
    }
}

/// Where an item stands in the text: by kind, then by its own words, so that moving it in the sources changes nothing.
fn order(item: &Item) -> (u8, String) {
    let rank = match item {
        Item::Use(_) => 0,
        Item::Const(_) | Item::Static(_) => 1,
        Item::Mod(_) => 3,
        Item::Impl(_) => 4,
        _ => 2,
    };
    let text = match item {
        Item::Impl(one) => {
            let (of, what) = (&one.self_ty, one.trait_.as_ref().map(|one| &one.1));
            format!("{} {}", quote::quote!(#of), quote::quote!(#what))
        }
        other => name_of(other).unwrap_or_else(|| quote::quote!(#other).to_string()),
    };
    (rank, text)
}

/// One name of a `use`.
struct Leaf {
    path: Vec<String>,
    name: String,
}

impl Leaf {
    fn renamed(&self) -> bool {
        self.path.last() != Some(&self.name)
    }

    fn tree(&self) -> UseTree {
        let path = self.path.join("::");
        let text = if self.renamed() { format!("{path} as {}", self.name) } else { path };
        syn::parse_str(&text).unwrap_or_else(|_| parse_quote!(unreadable))
    }
}

fn leaves(tree: &UseTree, before: &[String]) -> Vec<Leaf> {
    let with = |name: String| [before, &[name]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(path.ident.to_string())),
        UseTree::Name(name) => {
            vec![Leaf { path: with(name.ident.to_string()), name: name.ident.to_string() }]
        }
        UseTree::Rename(name) => {
            vec![Leaf { path: with(name.ident.to_string()), name: name.rename.to_string() }]
        }
        UseTree::Glob(_) => vec![Leaf { path: with("*".to_owned()), name: "*".to_owned() }],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(tree, before)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a crate of these files.
    fn text_of(files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        text(&Module::read(&folder.path().join("lib.rs")).unwrap())
    }

    const LIB: &str = "mod inner;\npub mod open;\npub use inner::{Deep, Renamed as Other, Thing};\npub use open::Seen;\n\
                       fn own() {}\n#[cfg(test)]\nmod tests { pub struct Test; }\n";
    const INNER: &str = "mod deep;\npub use deep::Deep;\n/// Words.\n#[derive(Clone)]\n#[serde(default)]\n#[schemars(x)]\npub struct Thing { pub a: u8, b: u16 }\n\
                         pub struct Renamed;\npub struct Hidden;\n\
                         impl Thing { /// More.\n pub fn get(&self, n: u8) -> u8 { n }\n fn own(&self) {} }\n\
                         impl Thing { pub fn also(&self) {} }\n\
                         impl Hidden { pub fn never(&self) {} }\n\
                         impl From<u8> for Thing { fn from(a: u8) -> Self { Self { a, b: 0 } } }\n";
    const DEEP: &str = "pub struct Deep { pub a: u8 }\n";
    const OPEN: &str =
        "pub struct Seen(pub u8, u16);\npub enum Kind { A, B { c: u8 } }\npub const MOST: u8 = 7;\n";

    fn example(inner: &str) -> String {
        text_of(&[("lib.rs", LIB), ("inner.rs", inner), ("inner/deep.rs", DEEP), ("open.rs", OPEN)])
    }

    #[test]
    fn all_that_another_crate_can_name_is_shown_and_nothing_else() {
        let wanted = "\
pub use inner::Renamed as Other;
pub use open::Seen;
pub struct Deep {
    pub a: u8,
}
#[derive(Clone)]
#[serde(default)]
pub struct Thing {
    pub a: u8,
    _private: _,
}
pub mod open {
    pub const MOST: u8 = 7;
    pub enum Kind {
        A,
        B { c: u8 },
    }
    pub struct Seen(pub u8, _);
}
impl Thing {
    pub fn also(&self) {}
    pub fn get(&self, n: u8) -> u8 {}
}
impl From<u8> for Thing {}
";
        assert_eq!(example(INNER), wanted);
    }

    #[test]
    fn what_changes_for_others_changes_the_text_and_nothing_else_does() {
        let before = example(INNER);
        let with = |from: &str, to: &str| {
            assert!(INNER.contains(from), "{from}");
            example(&INNER.replace(from, to)) != before
        };

        assert!(with("pub a: u8", "pub a: u16"));
        assert!(with("pub a: u8", "a: u8"));
        assert!(with("b: u16", "pub b: u16"));
        assert!(with("pub a: u8,", ""));
        assert!(with("#[serde(default)]", ""));
        assert!(with("#[derive(Clone)]", "#[derive(Clone, Copy)]"));
        assert!(with("get(&self, n: u8)", "get(&self, n: u16)"));
        assert!(with("From<u8>", "From<u32>"));
        assert!(!with("b: u16", "b: u32"));
        assert!(!with("/// Words.", "/// Other words."));
        assert!(!with("{ n }", "{ n + 1 }"));
        assert!(!with("fn own(&self) {}", ""));
        assert!(!with("pub struct Hidden;", "pub struct Hidden { pub a: u8 }"));
    }

    #[test]
    fn the_order_of_the_sources_is_no_api() {
        let (thing, rest) = INNER.split_once("pub struct Renamed;").unwrap();
        let also = "impl Thing { pub fn also(&self) {} }";
        let moved = format!("pub struct Renamed;{rest}{thing}").replace(also, "");

        assert_eq!(example(&format!("{also}{moved}")), example(INNER));
    }
}
