package filerun

import "sync"

// coalescer asks equal questions once, if there is a cache: the first is asked, the others wait for its answer. If it gets
// none the next one is asked. A nil coalescer coalesces nothing. It is safe for concurrent use.
type coalescer struct {
	mu       sync.Mutex
	asked    map[string][]*openRow // by cache key of a row that is being asked: the rows that wait for it
	waiting  int                   // how many rows wait
	released []*openRow            // rows to ask, as the one that they waited for got no answer
}

// join makes a row wait for the same question, if that is being asked.
func (c *coalescer) join(o *openRow) (joined bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, joined := c.asked[o.cacheKey]
	if joined {
		c.asked[o.cacheKey] = append(waiting, o)
		c.waiting++
	}
	return joined
}

// begin notes that a row is being asked.
func (c *coalescer) begin(o *openRow) {
	if o.cacheKey == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.asked[o.cacheKey]; !there {
		c.asked[o.cacheKey] = nil
	}
}

// next returns a row that has to be asked after all, nil if there is none, and how many still wait.
func (c *coalescer) next() (o *openRow, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.released) > 0 {
		o, c.released = c.released[0], c.released[1:]
	}
	return o, c.waiting
}

// giveUp drops the rows that wait for one that is not asked: they are left for a later run.
func (c *coalescer) giveUp(o *openRow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting -= len(c.asked[o.cacheKey])
	delete(c.asked, o.cacheKey)
}

// settle ends the asking of a row. It returns the rows that get its answer; if it has none the next of them is released.
func (c *coalescer) settle(key string, answered bool) []*openRow {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.asked[key]
	if answered || len(waiting) == 0 {
		delete(c.asked, key)
		c.waiting -= len(waiting)
		return waiting
	}
	c.released = append(c.released, waiting[0])
	c.asked[key] = waiting[1:]
	c.waiting--
	return nil
}

// len is how many rows wait for the answer to another one.
func (c *coalescer) len() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}
