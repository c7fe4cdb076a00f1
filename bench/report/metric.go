package report

// Metric is one thing that is measured of every system.
type Metric struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Short  string `json:"short"` // heads a column
	Unit   string `json:"unit"`
	Lower  bool   `json:"lower_is_better,omitempty"`
	Main   bool   `json:"main,omitempty"` // has its own table and chart
	format string
}

// The metrics that code refers to.
const (
	TCP1AB    = "tcp1_ab"
	TCP1BA    = "tcp1_ba"
	TCP4AB    = "tcp4_ab"
	TCP4BA    = "tcp4_ba"
	TCP1      = "tcp1"
	UDPRate   = "udp_rate"
	UDPLoss   = "udp_loss"
	RestP50   = "rtt_p50"
	RestP99   = "rtt_p99"
	LoadedP50 = "rtt_loaded_p50"
	LoadedP99 = "rtt_loaded_p99"
	CPU       = "cpu"
	Memory    = "memory"
)

// Metrics are all of them, in the order of columns.
var Metrics = []Metric{
	{ID: TCP1AB, Title: "bulk TCP, 1 stream, a to b", Short: "tcp1>", Unit: "Gb/s", format: "%.2f"},
	{ID: TCP1BA, Title: "bulk TCP, 1 stream, b to a", Short: "<tcp1", Unit: "Gb/s", format: "%.2f"},
	{ID: TCP4AB, Title: "bulk TCP, 4 streams, a to b", Short: "tcp4>", Unit: "Gb/s", format: "%.2f"},
	{ID: TCP4BA, Title: "bulk TCP, 4 streams, b to a", Short: "<tcp4", Unit: "Gb/s", format: "%.2f"},
	{ID: TCP1, Title: "bulk TCP, 1 stream, mean of both directions", Short: "tcp1", Unit: "Gb/s", Main: true, format: "%.2f"},
	{ID: UDPRate, Title: "64-byte datagrams delivered", Short: "udp64", Unit: "k/s", Main: true, format: "%.0f"},
	{ID: UDPLoss, Title: "64-byte datagrams lost", Short: "lost", Unit: "%", Lower: true, format: "%.0f"},
	{ID: RestP50, Title: "round trip at rest, median", Short: "p50", Unit: "us", Lower: true, Main: true, format: "%.0f"},
	{ID: RestP99, Title: "round trip at rest, 99th percentile", Short: "p99", Unit: "us", Lower: true, format: "%.0f"},
	{ID: LoadedP50, Title: "round trip beside bulk TCP, median", Short: "load50", Unit: "us", Lower: true, format: "%.0f"},
	{ID: LoadedP99, Title: "round trip beside bulk TCP, 99th percentile", Short: "load99", Unit: "us", Lower: true, format: "%.0f"},
	{ID: CPU, Title: "processor time of the whole machine per GB of bulk TCP", Short: "cpu", Unit: "s/GB", Lower: true, Main: true, format: "%.2f"},
	{ID: Memory, Title: "resident memory of user-space processes", Short: "mem", Unit: "MiB", Lower: true, format: "%.0f"},
}
