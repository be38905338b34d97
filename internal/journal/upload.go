package journal

import (
	"time"

	"github.com/cozeq/cozeq/results"
)

// Upload is a file that was uploaded.
type Upload struct {
	Cozeq   string       `json:"cozeq"`
	Content string       `json:"content"` // as the uploader names it
	FileID  string       `json:"file_id"` // at Coze
	At      results.Time `json:"at"`
}

// NoteUpload writes down a file that was uploaded just now.
func (j *Journal) NoteUpload(content, fileID string) error {
	if j.path == "" {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := j.write(Upload{Cozeq: entryUpload, Content: content, FileID: fileID, At: results.At(time.Now())})
	return err
}

// Uploads hands over the files that earlier runs have uploaded, once.
func (j *Journal) Uploads() []Upload {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := j.uploads
	j.uploads = nil
	return all
}
