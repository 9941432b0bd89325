//! What changes on the machine changes on the page, without anybody loading it again.

use super::browser::Browser;
use super::node::{PAGE, ip, own_network};
use super::start::{UNFOLD, page_of_this_namespace};

/// Waits until the row of `nic` has `text`.
fn wait_for_text(browser: &Browser, nic: &str, text: &str) {
    browser.wait_for(
        &format!("{nic} shows {text}"),
        &format!(
            "return Boolean(document.querySelector('[data-nic={nic:?}]')?.textContent.includes({text:?}))"
        ),
    );
}

#[test]
#[ignore = "needs chromium"]
fn change_of_a_link_appears_without_loading_the_page_again() {
    own_network();
    ip("link add page0 type veth peer name page1");
    ip("link set page1 up");
    ip("link set page0 up");
    let (_agent, browser) = page_of_this_namespace();
    browser.run(UNFOLD);
    browser.run(
        "window.loadedOnce = true; window.row = document.querySelector('[data-nic=virtual-page0]');
         window.row.querySelector('.nic-name').focus()",
    );
    let state = "return document.querySelector('[data-nic=virtual-page0] .state-word').textContent";
    assert_eq!(browser.run(state), "up");

    ip("link set page0 mtu 1380");
    wait_for_text(&browser, "virtual-page0", "MTU 1380");
    ip("address add 192.0.2.7/24 dev page0");
    wait_for_text(&browser, "virtual-page0", "192.0.2.7/24");
    ip("link set page0 down");
    browser.wait_for("it is down", &format!("{state} === 'down'"));
    ip("link add page2 type veth peer name page3");
    wait_for_text(&browser, "virtual-page3", "veth");
    ip("link delete page2");
    browser.wait_for("it is gone", "return document.querySelector('[data-nic=virtual-page3]') === null");

    assert_eq!(browser.run("return window.loadedOnce"), true);
    assert_eq!(browser.run("return window.row.isConnected"), true, "the row was kept");
    assert_eq!(
        browser.run(
            "return window.row.contains(document.activeElement) && document.activeElement.dataset.focus"
        ),
        "name",
        "the focus was kept"
    );
    browser.wait_for(
        "the changes are listed",
        "const text = document.getElementById('changes').textContent;
         return text.includes('page0 link mtu 1500 → 1380') && text.includes('page3 is gone')",
    );
    browser.asked_only(PAGE);
}

#[test]
#[ignore = "needs chromium"]
fn name_that_is_markup_is_shown_as_text() {
    own_network();
    ip("link add page0 type veth peer name page1");
    let (_agent, browser) = page_of_this_namespace();
    browser.run(UNFOLD);

    ip("link set page0 name <b>");
    // The kernel tells of a new alias only while the link is up (`netdev_state_change`, net/core/dev.c).
    ip("link set <b> up");
    ip("link set <b> alias <img/src=x>");

    browser.wait_for(
        "the new name is shown",
        "return [...document.querySelectorAll('.nic-name')].some((name) => name.textContent === '<b>')",
    );
    browser.run("location.hash = 'nic=' + encodeURIComponent('virtual-<b>')");
    browser.wait_for(
        "the alias is shown",
        "return document.getElementById('detail').textContent.includes('<img/src=x>')",
    );
    assert_eq!(browser.run("return document.querySelectorAll('b, img').length"), 0);
    browser.asked_only(PAGE);
}

#[test]
#[ignore = "needs chromium"]
fn lost_agent_is_said_and_found_again() {
    own_network();
    ip("link add page0 type veth peer name page1");
    let (agent, browser) = page_of_this_namespace();
    browser.run(UNFOLD);
    browser.run("window.loadedOnce = true");
    browser.asked_only(PAGE);

    let stopped = agent.stop();
    browser.wait_for(
        "the loss is said",
        "return document.getElementById('live').textContent === 'connection lost, retrying'
             && !document.getElementById('lost').hidden && document.querySelector('[data-nic=virtual-page0]') !== null",
    );
    ip("link add page2 type veth peer name page3");
    let _agent = stopped.again();

    browser.wait_for(
        "it is live again",
        "return document.getElementById('live').textContent === 'live' && document.getElementById('lost').hidden",
    );
    wait_for_text(&browser, "virtual-page2", "veth");
    assert_eq!(browser.run("return window.loadedOnce"), true);
    // The browser itself notes each refused connection; nothing else may be there.
    let others: Vec<String> =
        browser.messages().into_iter().filter(|message| !message.contains("net::ERR_")).collect();
    assert_eq!(others, Vec::<String>::new());
}
