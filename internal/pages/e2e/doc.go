// Package e2e holds the tests that walk through every page in a real browser: headless Chromium, a ledger with all its doors, a mail
// server. There is nothing in it to run.
//
// They have the build tag e2e, so that tests need no browser otherwise; `make e2e` runs them. Every page that a walk comes by is looked at
// (audit.js), at the width of a desk and of a phone, in light and in dark, and photographed.
package e2e
