package batch

// BreakDisk has every further write into the job's journal fail, as on a full disk.
func (j *Job) BreakDisk(err error) {
	journal := j.gate.peek().journal
	journal.mu.Lock()
	defer journal.mu.Unlock()
	journal.failed = err
}
