package spreadsheet

// Mark says of a cell what its text does not.
type Mark byte

// The marks.
const (
	Text       Mark = '.' // nothing: it is text, or shows what a text would
	Number     Mark = 'n' // a number that shows all its digits
	Rounded    Mark = 'r' // a number of more digits than a spreadsheet keeps: the last ones are not those that were put in
	Fault      Mark = 'e' // an error of the spreadsheet, as #N/A
	Unreckoned Mark = 'f' // a formula whose value is not stored
	Damaged    Mark = 'd' // a cell that cannot be read; its text says why
	Merged     Mark = 'm' // part of a merged cell whose text stands further up or left
)

// Range is a block of cells, rows and columns from 1.
type Range struct{ Top, Left, Bottom, Right int }

// Row is one row of a sheet.
type Row struct {
	Number int      // from 1
	Cells  []string // as a person sees them, without the empty ones at the end
	Marks  []Mark   // one for each of Cells, and of merged cells behind them
}

// Mark is the mark of a cell; columns count from 0.
func (r *Row) Mark(column int) Mark {
	if column < len(r.Marks) {
		return r.Marks[column]
	}
	return Text
}
