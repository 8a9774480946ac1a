//! The acceptance stories, end to end through the real binary, with their exact numbers.

mod st_01_step_by_step;
mod st_03_composition;
