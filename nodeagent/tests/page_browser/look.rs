//! How the page looks and how it is used: light and dark, small and large, with keys alone.

use super::browser::Browser;
use super::node::PAGE;
use super::start::{UNFOLD, page_of_machine};

/// Relative luminance of the page's ground, 0 (black) to 1 (white).
const GROUND: &str = "
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number);
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;";

/// Texts whose contrast to what lies below them is less than WCAG 2.2 level AA asks (4.5), with the ratio.
pub(crate) const FAINT: &str = r#"
    const parts = (colour) => {
        const numbers = colour.match(/[0-9.]+/g).map(Number);
        const scale = colour.startsWith('color(') ? 1 : 255;
        return [...numbers.slice(0, 3).map((part) => part / scale), numbers[3] ?? 1];
    };
    const over = (top, ground) => [0, 1, 2].map((i) => top[i] * top[3] + ground[i] * (1 - top[3]));
    const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const ground = (element) => {
        if (element === null) return [1, 1, 1];
        return over(parts(getComputedStyle(element).backgroundColor), ground(element.parentElement));
    };
    const faint = new Set();
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
        if (!own || element.checkVisibility() === false) continue;
        const below = ground(element);
        const [a, b] = [luminance(over(parts(getComputedStyle(element).color), below)), luminance(below)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) faint.add(`${element.className || element.tagName} ${ratio.toFixed(2)}`);
    }
    return [...faint].join(', ');"#;

fn ground(browser: &Browser) -> f64 {
    browser.run(GROUND).as_f64().unwrap()
}

#[test]
#[ignore = "needs chromium"]
fn page_is_light_or_dark_as_the_system_or_the_person_wants_and_readable_in_both() {
    let (_agent, browser) = page_of_machine("gpu-8x10");
    browser.run(UNFOLD);

    browser.prefers("light");
    assert!(ground(&browser) > 0.8);
    assert_eq!(browser.text(FAINT), "");
    browser.prefers("dark");
    assert!(ground(&browser) < 0.2);
    assert_eq!(browser.text(FAINT), "");

    browser.run("document.getElementById('theme').click()");
    assert!(ground(&browser) > 0.8, "light, whatever the system prefers");
    browser.open(PAGE);
    assert!(ground(&browser) > 0.8, "the choice is remembered");
    browser.run("document.getElementById('theme').click()");
    browser.prefers("light");
    assert!(ground(&browser) < 0.2, "dark, whatever the system prefers");
    browser.asked_only(PAGE);
}

#[test]
#[ignore = "needs chromium"]
fn nothing_has_to_be_scrolled_sideways_on_a_small_or_a_large_screen() {
    let (_agent, browser) = page_of_machine("gpu-8x10");
    browser.run(UNFOLD);
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    // What is cut off at the side of its own box cannot be scrolled to; only the matrix may scroll in itself.
    let cut = "return [...document.querySelectorAll('body *:not(.scroll):not(.scroll *):not(.model):not(.skip):not(input)')]
        .filter((element) => element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== 'visible')
        .map((element) => element.className || element.tagName).join(', ')";

    for (width, height) in [(360, 740), (800, 1000), (1400, 1000), (1600, 1000), (2560, 1440)] {
        browser.size(width, height);
        browser.run("location.hash = ''");
        browser.wait_for("the facts are closed", "return document.getElementById('detail').hidden");
        assert_eq!(browser.run(wide), 0, "{width} pixels");
        assert_eq!(browser.run(cut), "", "{width} pixels");
        browser.run("document.querySelector('.nic-name').click(); document.querySelector('#groups .nic-name').click()");
        browser.wait_for("the facts are open", "return !document.getElementById('detail').hidden");
        assert_eq!(browser.run(wide), 0, "{width} pixels with the facts of a NIC");
        assert_eq!(browser.run(cut), "", "{width} pixels with the facts of a NIC");
    }
    browser.asked_only(PAGE);
}

/// Key values of the WebDriver specification (§ 17.4.2, "Keyboard actions").
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const RIGHT: &str = "\u{e014}";

#[test]
#[ignore = "needs chromium"]
fn keys_alone_filter_open_and_close() {
    let (_agent, browser) = page_of_machine("cx6dx-dual");
    let focus = "return document.activeElement.dataset.focus ?? document.activeElement.id";

    browser.press("/");
    assert_eq!(browser.run(focus), "query");
    browser.press("ens1f0np0");
    browser.wait_for("one PF is left", "return document.querySelectorAll('.nic').length === 1");

    let tab_to = |name: &str| {
        for _ in 0..40 {
            if browser.run(focus) == name {
                return;
            }
            browser.press(TAB);
        }
        panic!("no way to {name} with the tab key");
    };
    tab_to("fold");
    browser.press(ENTER);
    browser.wait_for("its VFs are shown", "return document.querySelectorAll('.vf').length > 1");
    assert_eq!(browser.run("return document.activeElement.getAttribute('aria-expanded')"), "true");
    tab_to("vf-cell-0");
    browser.press(RIGHT);
    assert_eq!(browser.run(focus), "vf-cell-1");
    browser.press(ENTER);
    browser.wait_for("the facts of the VF are shown", "return document.activeElement.id === 'detail'");
    let title = browser.text("return document.getElementById('detail-title').textContent");
    browser.press(ESCAPE);
    let label = browser.text("return document.activeElement.getAttribute('aria-label')");
    assert!(label.starts_with("VF 1 ") && label.contains(&title), "{label} opened {title}");
    browser.run("document.querySelector('[data-focus=fold]').focus()");
    tab_to("name");
    browser.press(ENTER);
    browser.wait_for("its facts are shown", "return document.activeElement.id === 'detail'");
    browser.press(ESCAPE);

    assert_eq!(browser.run("return document.getElementById('detail').hidden"), true);
    assert_eq!(browser.run(focus), "name");
    browser.asked_only(PAGE);
}
