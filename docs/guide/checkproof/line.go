package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
)

// The members of invoice.line_closed.v1, as events/schema.cddl numbers them.
const (
	lineSubscription = 3
	lineMetric       = 4
	linePrice        = 5
	lineRevision     = 6
	lineTerm         = 7
	lineCount        = 9
	lineQuantity     = 10
	lineNanos        = 11
	lineTax          = 12
	lineRoot         = 13
	lineFirst        = 14
	lineLast         = 15
	lineOf           = 16 // of a line that is for something else than usage
	lineAggregation  = 19 // of a metric that is not a sum or a count
	lineRate         = 20
)

// The members of usage.reported.v1, and of each part of it.
const (
	usageSubscription = 2
	usagePeriod       = 5
	usageParts        = 6

	partMetric   = 1
	partQuantity = 2
	partPrice    = 3
	partRevision = 4
	partNanos    = 5
	partTax      = 6
	partRate     = 7
	partGranted  = 9 // units that a grant has paid
)

// checkLine says what usage comes to, if it is all that the line stands for and nothing else.
func checkLine(line record, usage []record) (string, error) {
	if len(usage) == 0 || !line.body.has(lineCount, big.NewInt(int64(len(usage)))) {
		return "", fmt.Errorf("%d usage events are not as many as it stands for", len(usage))
	}
	var leaves [][]byte
	var quantity, units, nanos, tax big.Int
	before := uint64(0)
	for _, u := range usage {
		part := partOf(line.body, u)
		switch {
		case part == nil || !bytes.Equal(u.merchant, line.merchant) || !equal(u.body[usagePeriod], usage[0].body[usagePeriod]):
			return "", fmt.Errorf("record %d is no usage of it", u.seq)
		case u.seq <= before || u.seq >= line.seq:
			return "", fmt.Errorf("record %d is out of order", u.seq)
		}
		before, leaves = u.seq, append(leaves, u.leaf)
		granted := part.number(partGranted)
		quantity.Sub(quantity.Add(&quantity, part.number(partQuantity)), granted)
		units.Sub(units.Add(&units, big.NewInt(1)), granted)
		nanos.Add(&nanos, part.number(partNanos))
		tax.Add(&tax, part.number(partTax))
	}
	root, _ := line.body[lineRoot].([]byte)
	switch {
	case !line.body.has(lineFirst, new(big.Int).SetUint64(usage[0].seq)) || !line.body.has(lineLast, new(big.Int).SetUint64(before)):
		return "", errors.New("it begins and ends with other usage")
	case !bytes.Equal(root, rootOf(leaves)):
		return "", errors.New("it was made of other usage")
	case line.body[lineAggregation] == nil && !line.body.has(lineQuantity, &quantity) && !line.body.has(lineQuantity, &units):
		return "", fmt.Errorf("the usage has a quantity of %s", &quantity)
	case line.body[lineTerm] == "instant" && (!line.body.has(lineNanos, &nanos) || !line.body.has(lineTax, &tax)):
		return "", fmt.Errorf("the usage has cost %s nanodollars and %s of tax", &nanos, &tax)
	}
	return fmt.Sprintf("it stands for these %d usage events and no others: quantity %s, %s nanodollars, %s of tax", len(usage),
		line.body.number(lineQuantity), line.body.number(lineNanos), line.body.number(lineTax)), nil
}

// partOf returns the part of a usage event that belongs to a line, or nil.
func partOf(line members, u record) members {
	if u.kind != "usage.reported.v1" || !equal(u.body[usageSubscription], line[lineSubscription]) {
		return nil
	}
	parts, _ := u.body[usageParts].([]any)
	for i := range parts {
		part, _ := parts[i].(members)
		if equal(part[partMetric], line[lineMetric]) && equal(part[partPrice], line[linePrice]) &&
			part.number(partRevision).Cmp(line.number(lineRevision)) == 0 && part.number(partRate).Cmp(line.number(lineRate)) == 0 {
			return part
		}
	}
	return nil
}
