//! §1.1, §1.3: STATUS.

use crate::runner::subject::Pool;
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.1", "STATUS below 1.1.0: code 1", |scene| {
        scene.plain("STATUS", Pool::Wide).run()?.failed_with(1)?;
        Ok(())
    })
    .before("1.1.0"),
    Case::new("1.3", "STATUS succeeds and prints nothing", |scene| {
        Ok(scene.plain("STATUS", Pool::Wide).run()?.printed_nothing()?)
    })
    .since("1.1.0"),
    Case::new("1.3", "STATUS with the pool used up: code 50", |scene| {
        scene.fill()?;
        scene.plain("STATUS", Pool::Narrow).run()?.failed_with(50)?;
        Ok(())
    })
    .since("1.1.0"),
];
