// Package report holds the figures of a comparison, condenses them to medians,
// spreads and ratios, and shows them as a table, as JSON and as charts.
//
// It measures nothing and knows no system but by its name and kind. Values are
// not to be shared between goroutines while a Run is filled.
//
//	run.Add("veth", report.Sample{"tcp1_ab": 11.5})
//	run.Table(os.Stdout)
package report
