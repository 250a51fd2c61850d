package httpapi

import (
	"net/http"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
)

// TestClock is a clock for trying out what happens with time.
type TestClock struct {
	ID          string       `json:"id"`
	Object      string       `json:"object" enum:"testClock"`
	MerchantID  string       `json:"merchantId"`
	CurrentTime events.Time  `json:"currentTime" format:"date-time"`
	Name        *string      `json:"name" nullable:"true"`
	Description *string      `json:"description" nullable:"true"`
	DeletedAt   *events.Time `json:"deletedAt" format:"date-time" nullable:"true"`
	CreatedAt   events.Time  `json:"createdAt" format:"date-time"`
	UpdatedAt   events.Time  `json:"updatedAt" format:"date-time"`
}

// TestClockCreate is what a test clock is made of.
type TestClockCreate struct {
	MerchantID  string `json:"merchantId,omitempty" pattern:"^org_[a-zA-Z0-9]+$"`
	CurrentTime string `json:"currentTime,omitempty" format:"date-time" doc:"Default now; at most an hour ago"`
	Name        string `json:"name,omitempty" maxLength:"255"`
	Description string `json:"description,omitempty" maxLength:"4096"`
}

// TestClockAdvance says where a test clock goes: one of the two is given.
type TestClockAdvance struct {
	CurrentTime string `json:"currentTime,omitempty" format:"date-time"`
	AdvanceBy   string `json:"advanceBy,omitempty" pattern:"^P([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?$"`
}

func renderClock(q *query.Clock) (TestClock, error) {
	return TestClock{
		ID: q.ID.String(), Object: "testClock", MerchantID: q.Merchant.String(), CurrentTime: q.Now, Name: orNull(q.Name),
		Description: orNull(q.Description), DeletedAt: maybe(q.DeletedAt), CreatedAt: q.CreatedAt, UpdatedAt: q.UpdatedAt,
	}, nil
}

// orNull returns a text, or nil, which is null, where there is none.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (a *API) clocks() []operation {
	return []operation{{
		id: "createTestClock", method: http.MethodPost, path: "/v0/testClocks", tag: "Test clocks", summary: "Make a test clock",
		body: bodyOf[TestClockCreate](), answers: answers[TestClock](http.StatusCreated), handle: a.createClock,
	}, {
		id: "listTestClocks", method: http.MethodGet, path: "/v0/testClocks", tag: "Test clocks", summary: "List test clocks",
		params:  paged(text("merchantId", 0, 255)),
		answers: answers[query.APIList[TestClock]](http.StatusOK), handle: func(c *call) (answer, error) {
			args, ok := c.ofMerchant()
			if !ok {
				return nothing[TestClock](c)
			}
			list, err := a.opts.Queries.Clocks(c.ctx, c.who, args)
			return listing(c, list, err, renderClock)
		},
	}, {
		id: "getTestClock", method: http.MethodGet, path: "/v0/testClocks/{id}", tag: "Test clocks", summary: "Show a test clock",
		answers: answers[TestClock](http.StatusOK), handle: func(c *call) (answer, error) {
			id, err := c.clockID()
			if err != nil {
				return answer{}, err
			}
			return c.showClock(id, http.StatusOK)
		},
	}, {
		id: "advanceTestClock", method: http.MethodPatch, path: "/v0/testClocks/{id}", tag: "Test clocks", summary: "Advance a test clock",
		body: bodyOf[TestClockAdvance](), answers: answers[TestClock](http.StatusOK), handle: a.advanceClock,
	}, {
		id: "deleteTestClock", method: http.MethodDelete, path: "/v0/testClocks/{id}", tag: "Test clocks", summary: "Take a test clock out of use",
		answers: answers[TestClock](http.StatusOK), handle: a.deleteClock,
	}}
}

// clockID returns the test clock in the path.
func (c *call) clockID() (events.TestClockID, error) {
	text := c.request.PathValue("id")
	id, err := events.ParseTestClockID(text)
	if err != nil {
		return id, commands.Reject(commands.NotFound, "no test clock %.60q", text)
	}
	return id, nil
}

func (c *call) showClock(id events.TestClockID, status int) (answer, error) {
	q, err := c.api.opts.Queries.Clock(c.ctx, c.who, query.OneArgs[events.TestClockID]{At: c.at(), ID: id})
	if err != nil {
		return answer{}, err
	}
	body, err := renderClock(&q)
	return answer{status, body}, err
}

func (a *API) createClock(c *call) (answer, error) {
	d, err := c.carryOut("CreateTestClock")
	if err != nil {
		return answer{}, err
	}
	id, err := events.ParseTestClockID(d.one().ID.String())
	if err != nil {
		return answer{}, err
	}
	return c.showClock(id, http.StatusCreated)
}

func (a *API) advanceClock(c *call) (answer, error) {
	id, err := c.clockID()
	if err != nil {
		return answer{}, err
	}
	if _, err := c.carryOut("AdvanceTestClock", named("testClockId", id.String())); err != nil {
		return answer{}, err
	}
	return c.showClock(id, http.StatusOK)
}

func (a *API) deleteClock(c *call) (answer, error) {
	id, err := c.clockID()
	if err != nil {
		return answer{}, err
	}
	if _, err := c.carryOut("DeleteTestClock", named("testClockId", id.String())); err != nil {
		return answer{}, err
	}
	return c.showClock(id, http.StatusOK)
}
