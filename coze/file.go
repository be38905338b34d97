package coze

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// MaxFile is the largest file that Coze takes, in bytes. A bot's model may take less.
const MaxFile = 512 << 20

// FileLife is how long Coze keeps an uploaded file: three months, taken as the shortest three.
const FileLife = 89 * 24 * time.Hour

// File is a file that was uploaded to Coze. Only the same account can use it. Coze has no call to read or delete it.
type File struct {
	ID        string `json:"id"`
	Bytes     int64  `json:"bytes"`
	FileName  string `json:"file_name"`
	CreatedAt int64  `json:"created_at"` // Unix seconds
}

// UnmarshalJSON reads a file in any of the forms that Coze sends: ids and numbers as numbers, strings or null.
func (f *File) UnmarshalJSON(b []byte) error {
	o := object{b: b}
	var got File
	for o.next() {
		switch string(o.name) {
		case "id":
			got.ID = idOf(o.value)
		case "bytes":
			got.Bytes = integerOf(o.value)
		case "file_name":
			got.FileName = textOf(o.value)
		case "created_at":
			got.CreatedAt = integerOf(o.value)
		}
	}
	if o.err != nil {
		return o.err
	}
	*f = got
	return nil
}

// Upload is a file to upload.
type Upload struct {
	Name string                        // with its extension, by which Coze tells the type
	Size int64                         // bytes, at most MaxFile
	Open func() (io.ReadCloser, error) // the content from its start; called again if Coze wants another token
}

// fileTypes are the extensions that Coze takes (developer_guides/upload_files), by the type of an object_string's item.
var fileTypes = map[string][]string{
	"file": strings.Fields("doc docx xls xlsx ppt pptx pdf numbers csv cpp py java c mp4 avi mov 3gp 3gpp flv webm wmv rmvb m4v mkv " +
		"rar zip 7z gz gzip bz2"),
	"image": strings.Fields("jpg jpg2 jpeg png gif webp heic heif bmp pcd tiff"),
	"audio": strings.Fields("wav mp3 flac m4a aac ogg wma midi"),
}

// FileType is the type that a file has in an object_string by its name: image, audio or file. ok is false if Coze does not
// take files of that extension.
func FileType(name string) (typ string, ok bool) {
	ext := strings.TrimPrefix(strings.ToLower(path.Ext(name)), ".")
	for typ, known := range fileTypes {
		if slices.Contains(known, ext) {
			return typ, true
		}
	}
	return "", false
}

// Check reports why Coze would not take a file, without a call. The error is an [*Error] of [ClassInvalid].
func (u *Upload) Check() error {
	switch _, known := FileType(u.Name); {
	case u.Name == "":
		return invalid(opUpload, "the file has no name")
	case !known:
		return invalid(opUpload, fmt.Sprintf("%.80q: Coze takes no files of this type", u.Name))
	case u.Size <= 0:
		return invalid(opUpload, fmt.Sprintf("%.80q is empty", u.Name))
	case u.Size > MaxFile:
		return invalid(opUpload, fmt.Sprintf("%.80q has %d bytes, Coze takes %d at most", u.Name, u.Size, MaxFile))
	}
	return nil
}

const opUpload = "file/upload"

// UploadFile uploads a file; its content is streamed. It is not idempotent: each call makes a file, which costs nothing.
// [Client.Idle] bounds the silence between two pieces of it and before the reply. Errors are [*Error].
func (c *Client) UploadFile(ctx context.Context, u *Upload) (*File, error) {
	if err := u.Check(); err != nil {
		return nil, err
	}
	return fetch[File](ctx, c, call{op: opUpload, method: http.MethodPost, path: "/v1/files/upload", upload: u})
}

// RetrieveFile reads what Coze knows of an uploaded file. Errors are [*Error].
func (c *Client) RetrieveFile(ctx context.Context, fileID string) (*File, error) {
	if fileID == "" {
		return nil, invalid("file/retrieve", "the file's id is empty")
	}
	return fetch[File](ctx, c, call{
		op: "file/retrieve", method: http.MethodGet, path: "/v1/files/retrieve", query: "file_id=" + url.QueryEscape(fileID),
	})
}
