// Package arch holds the test that keeps the imports pointing one way. There is nothing in it to run.
package arch
