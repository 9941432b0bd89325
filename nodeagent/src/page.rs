//! The page at `/`: its files, inside the executable.

/// Media type and bytes of a file of the page.
pub(crate) fn file(name: &str) -> Option<(&'static str, &'static [u8])> {
    match name {
        "index.html" => Some(("text/html; charset=utf-8", include_bytes!("page/index.html"))),
        "app.js" => Some(("text/javascript; charset=utf-8", include_bytes!("page/app.js"))),
        "arrange.js" => Some(("text/javascript; charset=utf-8", include_bytes!("page/arrange.js"))),
        "element.js" => Some(("text/javascript; charset=utf-8", include_bytes!("page/element.js"))),
        "facts.js" => Some(("text/javascript; charset=utf-8", include_bytes!("page/facts.js"))),
        "follow.js" => Some(("text/javascript; charset=utf-8", include_bytes!("page/follow.js"))),
        "nic_row.js" => Some(("text/javascript; charset=utf-8", include_bytes!("page/nic_row.js"))),
        "overview.js" => Some(("text/javascript; charset=utf-8", include_bytes!("page/overview.js"))),
        "words.js" => Some(("text/javascript; charset=utf-8", include_bytes!("page/words.js"))),
        "style.css" => Some(("text/css; charset=utf-8", include_bytes!("page/style.css"))),
        _ => None,
    }
}
