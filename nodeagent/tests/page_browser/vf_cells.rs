//! The VFs of each PF as cells: what the API says of each, in a letter, in words and within reach of the keyboard.

use serde_json::{Value, json};

use super::browser::Browser;
use super::look::FAINT;
use super::node::PAGE;
use super::start::page_of_machine;

/// Letter, state and words of each cell of the first PF that has some.
const SHOWN: &str = "
    const bar = document.querySelector('.vf-cells');
    return [...bar.querySelectorAll('button')].map((cell) => [cell.textContent, cell.classList[1], cell.getAttribute('aria-label'), cell.title]);";

/// An element that the page does not draw anew.
const PLACE: &str = "(document.getElementById('place') ?? (() => {
    const place = document.createElement('div');
    place.id = 'place';
    document.getElementById('nics').prepend(place);
    return place;
})())";

/// Evaluates an expression over the page's module of cells.
fn with_module(browser: &Browser, expression: &str) -> Value {
    browser.run(&format!("return import('{PAGE}page/vf_cells.js').then((module) => {expression})"))
}

#[test]
#[ignore = "needs chromium"]
fn each_vf_has_a_cell_that_says_what_the_api_says() {
    let (agent, browser) = page_of_machine("cx6dx-dual");
    browser.wait_for("there are cells", "return document.querySelector('.vf-cells') !== null");
    let pf = browser.text("return document.querySelector('.vf-cells').closest('[data-nic]').dataset.nic");

    let told = agent.get(&format!("/v1/sriov/pfs/{pf}/vfs"));
    let told = told["vfs"].as_array().unwrap();
    let holder = |vf: &Value| vf["holders"][0].as_str().map(str::to_owned);
    let first = told.iter().find_map(holder).expect("a VF that somebody holds");
    browser.wait_for(
        "the API's holders are shown",
        &format!(
            "return [...document.querySelectorAll('.vf-cell')].some((cell) => cell.title.includes({first:?}))"
        ),
    );

    let shown = browser.run(SHOWN);
    let shown = shown.as_array().unwrap();
    assert_eq!(shown.len(), told.len());
    assert!(told.iter().any(|vf| vf["state"] == "free"), "{told:?}");
    for (cell, vf) in shown.iter().zip(told) {
        assert_eq!(cell[1], vf["state"], "{cell} is not {vf}");
        let letter = if vf["state"] == "held" { "#" } else { "." };
        assert_eq!((&cell[0], &cell[2]), (&json!(letter), &cell[3]));
        let words = cell[2].as_str().unwrap();
        assert!(words.starts_with(&format!("VF {} ", vf["index"])), "{words}");
        assert!(words.contains(&holder(vf).unwrap_or_else(|| "free".to_owned())), "{words} is not {vf}");
    }
    browser.asked_only(PAGE);
}

#[test]
#[ignore = "needs chromium"]
fn every_state_has_a_letter_and_a_reason_of_its_own() {
    let (_agent, browser) = page_of_machine("gpu-8x10");
    let entry = |index: u16, driver: Option<&str>| json!({"index": index, "pci": format!("0000:01:10.{index}"), "nic": format!("vf{index}"), "driver": driver});
    let vfs = [entry(0, Some("vf")), entry(1, None), entry(2, Some("vf")), entry(4, Some("vf"))];
    let told = |state: &str| {
        json!({"pf": {"state": state}, "vfs": [
            {"index": 0, "state": "free"},
            {"index": 1, "state": "free"},
            {"index": 2, "state": "held", "holders": ["pod shop/cart (network rails, net1)"]},
            {"index": 3, "state": "missing"},
            {"index": 4, "state": "broken", "trouble": "its netdev does not come"},
        ]})
    };
    let of = |state: &str, autoprobe: bool| {
        let nic = json!({"sriov": {"vfs": vfs, "driversAutoprobe": autoprobe}});
        let script = format!(
            "module.cells({nic}, {}).map((cell) => `${{module.LETTERS[cell.state]}} ${{cell.text}}`)",
            told(state)
        );
        with_module(&browser, &script)
    };

    assert_eq!(
        of("inPlace", true),
        json!([
            ". free",
            "x no driver is bound",
            "# held: pod shop/cart (network rails, net1)",
            "- missing: it should be there",
            "x broken: its netdev does not come",
        ])
    );
    let changing = of("applying", true);
    assert_eq!(changing[3], "~ being made");
    assert_eq!(changing[4], "~ being changed: its netdev does not come");
    assert_eq!(of("inPlace", false)[1], ". free", "somebody wants it without a driver");
    let nic = json!({"sriov": {"vfs": vfs}});
    for state in ["inPlace", "applying"] {
        let draw = format!(
            "{{ {PLACE}.replaceChildren(module.drawCells(module.cells({nic}, {}), 'pf0', null)); return true; }}",
            told(state)
        );
        assert_eq!(with_module(&browser, &draw), true);
        for scheme in ["light", "dark"] {
            browser.prefers(scheme);
            assert_eq!(browser.text(FAINT), "", "{state}, {scheme}");
        }
    }
    let untold = json!({"sriov": {"vfs": vfs}});
    assert_eq!(with_module(&browser, &format!("module.cells({untold})[3].state")), "missing");
}

#[test]
#[ignore = "needs chromium"]
fn a_pf_without_vfs_has_no_cells_and_one_with_128_fits_and_is_one_stop_of_the_tab_key() {
    let (_agent, browser) = page_of_machine("gpu-8x10");
    assert_eq!(browser.run("return document.querySelectorAll('.vf-cells').length"), 0);
    assert_eq!(
        with_module(&browser, "module.drawCells(module.cells({sriov: {vfs: []}}), 'pf', null)"),
        Value::Null
    );
    let vfs: Vec<Value> =
        (0..128).map(|index| json!({"index": index, "name": format!("pf0v{index}")})).collect();
    let nic = json!({"sriov": {"vfs": vfs}});
    let place = format!(
        "{{ window.opened = []; const place = {PLACE};
            place.replaceChildren(module.drawCells(module.cells({nic}), 'pf0', (cell) => window.opened.push(cell.index)));
            place.querySelector('button').focus(); return true; }}"
    );

    assert_eq!(with_module(&browser, &place), true);

    let cells = "document.querySelectorAll('.vf-cells button')";
    assert_eq!(browser.run(&format!("return {cells}.length")), 128);
    assert_eq!(browser.run(&format!("return [...{cells}].filter((cell) => cell.tabIndex === 0).length")), 1);
    for (key, wanted) in
        [("\u{e010}", 127), ("\u{e014}", 127), ("\u{e012}", 126), ("\u{e011}", 0), ("\u{e014}", 1)]
    {
        browser.press(key);
        assert_eq!(browser.run("return document.activeElement.dataset.focus"), format!("vf-cell-{wanted}"));
    }
    let said = "return document.querySelector('.vf-said').textContent";
    assert_eq!(browser.run(said), "VF 1 pf0v1: free");
    browser.press("\u{e007}");
    assert_eq!(browser.run("return window.opened"), json!([1]));
    for width in [360, 800, 1400] {
        browser.size(width, 900);
        let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(wide), 0, "{width} pixels");
    }
    browser.asked_only(PAGE);
}
