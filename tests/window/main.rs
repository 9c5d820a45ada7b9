//! The app in real windows, driven by WebDriver as a person drives it: two people who meet and call each other, the echo
//! contact, the keyboard alone, an audit of every view, and what a desktop does to a window.

mod call;
mod echo;
mod end;
mod keyboard;
mod steps;
mod views;
