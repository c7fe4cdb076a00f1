package report

import (
	"fmt"
	"image/color"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// colors of the bars, by kind.
var colors = map[string]color.Color{
	"muennet":    color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff},
	"kernel":     color.RGBA{R: 0x7f, G: 0x7f, B: 0x7f, A: 0xff},
	"user space": color.RGBA{R: 0xff, G: 0x7f, B: 0x0e, A: 0xff},
}

// Charts writes a bar chart of each main metric, as <metric>.svg in dir. The
// Run must be condensed.
func (r *Run) Charts(dir string) error {
	for _, m := range Metrics {
		if !m.Main {
			continue
		}
		if err := r.chart(m, filepath.Join(dir, m.ID+".svg")); err != nil {
			return fmt.Errorf("draw %s: %w", m.Title, err)
		}
	}
	return nil
}

// spread is one bar with the least and the most that was measured.
type spread struct {
	x, y, low, high float64
}

// Len, XY and XError make it a plotter.XErrorBars of one point.
func (s spread) Len() int                       { return 1 }
func (s spread) XY(int) (x, y float64)          { return s.x, s.y }
func (s spread) XError(int) (low, high float64) { return s.x - s.low, s.high - s.x }

func (r *Run) chart(m Metric, path string) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s, %s", m.Title, m.Unit)
	p.Title.Padding = vg.Points(8)
	most := 0.0
	var names []string
	kinds := make(map[string]bool)
	// The first system is to be on top, and axes begin at the bottom.
	for _, s := range slices.Backward(r.Systems) {
		st, ok := s.Stats[m.ID]
		if !ok {
			continue
		}
		at := float64(len(names))
		bar, err := plotter.NewBarChart(plotter.Values{st.Median}, vg.Points(11))
		if err != nil {
			return err
		}
		bar.Horizontal, bar.XMin = true, at
		bar.Color, bar.LineStyle.Width = colors[s.Kind], 0
		whisker, err := plotter.NewXErrorBars(spread{st.Median, at, st.Min, st.Max})
		if err != nil {
			return err
		}
		p.Add(bar, whisker)
		most = max(most, st.Max)
		if !kinds[s.Kind] {
			kinds[s.Kind] = true
			p.Legend.Add(s.Kind, bar)
		}
		names = append(names, fmt.Sprintf("%s  "+m.format, s.Name, st.Median))
	}
	if len(names) == 0 {
		return nil
	}
	p.NominalY(names...)
	// The legend stands to the right of the longest bar.
	p.X.Min, p.X.Max = 0, 1.25*most
	p.Y.Min, p.Y.Max = -0.7, float64(len(names))-0.3
	return p.Save(8*vg.Inch, vg.Points(float64(70+18*len(names))), path)
}
