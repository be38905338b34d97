package filerun

// BreakDisk has every further write into the job's journal fail, as on a full disk.
func (j *Job) BreakDisk(err error) { j.handle.get().journal.Fail(err) }
