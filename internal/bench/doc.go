// Package bench measures the system beside the raw limits of the machine it runs on, in one run, so that the
// figures can be read as ratios: machines differ, and are shared.
//
// Each measurement has its own function that returns a result of plain numbers; the
// command `tally bench` prints them. Nothing here is a test: no figure fails a build.
package bench
