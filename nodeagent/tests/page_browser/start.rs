//! What a test begins with.

use super::browser::Browser;
use super::node::{Agent, PAGE, own_network};

/// Opens every group and every PF.
pub(crate) const UNFOLD: &str = "
    for (const group of document.querySelectorAll('.group:not([open]) > summary')) group.click();
    const all = document.getElementById('unfold');
    if (!all.hidden && all.getAttribute('aria-pressed') === 'false') all.click();";

/// The page of a machine of the collection, in a browser.
pub(crate) fn page_of_machine(name: &str) -> (Agent, Browser) {
    own_network();
    let agent = Agent::of_machine(name);
    let browser = Browser::start();
    browser.open(PAGE);
    (agent, browser)
}

/// The page of this namespace, in a browser.
pub(crate) fn page_of_this_namespace() -> (Agent, Browser) {
    let agent = Agent::live();
    let browser = Browser::start();
    browser.open(PAGE);
    (agent, browser)
}
