// Package killtest holds the test that kills a real server, again and again, under load. There is nothing in it to run.
package killtest
