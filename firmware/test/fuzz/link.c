/* Fuzz target: a board's serial side. Frames, whole or mutilated, in any order, while time passes and the board starts
 * anew; the link, the application, the store, the verifier and the engine behind them are the firmware's own. */
#include "fuzz.h"
#include "app.h"
#include "flash.h"
#include "wire.h"

#define POOL 32768u
#define SESSION 0x0107u

static uint8_t input_buffer[2048];

typedef struct {
    nm_app app;
    uint32_t now;
    uint8_t seq;
    bool deep;                      /* an image came to rule R4 */
} board;

/* What the board says must be frames that a host takes. */
static void listen(board *b)
{
    uint8_t wire[NM_WIRE_MAX], frame[NM_WIRE_MAX];
    for (uint32_t n, k = 0; k < 64 && (n = nm_link_transmit(&b->app.link, wire, b->now)) != 0; k++) {
        EXPECT(n <= sizeof wire && wire[0] == 0 && wire[n - 1] == 0);
        memcpy(frame, wire + 1, n - 2);
        const int32_t got = nm_cobs_decode(frame, n - 2, frame);
        EXPECT(got >= (int32_t)(NM_FRAME_HEADER + 4u) && got <= (int32_t)NM_FRAME_MAX);
        EXPECT(nm_wire_get16(frame + 6) == (uint32_t)got - NM_FRAME_HEADER - 4u);
        const uint8_t *answer = frame + NM_FRAME_HEADER;
        if (frame[1] == NM_MSG_OK && answer[0] == NM_MSG_LOAD)
            b->deep = true;
        if (frame[1] == NM_MSG_ERROR && answer[0] == NM_MSG_LOAD && (int8_t)answer[1] == NM_E_IMAGE)
            b->deep |= nm_wire_get32(answer + 4) >= 4;
    }
}

static void send(board *b, const uint8_t *frame, uint32_t len)
{
    uint8_t wire[NM_COBS_MAX(1024) + 2];
    const uint32_t n = nm_cobs_encode(frame, len, wire + 1);
    wire[0] = wire[n + 1] = 0;
    line_bytes += n + 2;
    nm_app_receive(&b->app, wire, n + 2, b->now);
}

/* A frame with a right header but for what the input changes. */
static void message(board *b, fuzz_input *in, uint8_t type, bool sequenced)
{
    uint8_t frame[1024];
    uint32_t len = fuzz_take(in, 1);
    len |= (len & 1u) << 8;
    const uint8_t *payload = fuzz_bytes(in, &len);
    frame[0] = NM_LINK_MAJOR << 4;
    frame[1] = type;
    frame[2] = b->seq;
    frame[3] = b->app.link.next;
    nm_wire_put16(frame + 4, SESSION);
    nm_wire_put16(frame + 6, len);
    memcpy(frame + 8, payload, len);
    memset(frame + 8 + len, 0, 4);
    const uint32_t odd = fuzz_take(in, 1);
    if (odd >= 0xF0) frame[odd & 7u] = (uint8_t)fuzz_take(in, 1);
    b->seq = (uint8_t)(b->seq + sequenced);
    send(b, frame, len + 12u);
}

static void bytes(board *b, fuzz_input *in)
{
    uint32_t n = fuzz_take(in, 1);
    const uint8_t *raw = fuzz_bytes(in, &n);
    line_bytes += n;
    nm_app_receive(&b->app, raw, n, b->now);
}

static void hello(board *b)
{
    uint8_t frame[8 + 20 + 4] = {NM_LINK_MAJOR << 4, NM_LINK_HELLO_REQ};
    nm_wire_put16(frame + 4, SESSION);
    nm_wire_put16(frame + 6, 20);
    frame[8] = NM_LINK_MAJOR, frame[9] = NM_LINK_MINOR;
    nm_wire_put16(frame + 10, NM_LINK_PAYLOAD);
    frame[12] = NM_LINK_WINDOW;
    send(b, frame, sizeof frame);
    b->seq = 0;
}

/* The flash stays. */
static void start(board *b, uint8_t *pool)
{
    const nm_app_config config = {
        .board = "fuzz", .core = "host", .build = "0", .boots = 1, .pool = pool, .pool_len = POOL, .now = b->now,
        .input = input_buffer, .input_len = sizeof input_buffer, .trace_len = 4096, .steps_per_poll = 4,
        .flash = flash_of_board,
    };
    nm_app_init(&b->app, &config);
    hello(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static board b;
    fuzz_input in = {data, size};
    uint8_t *pool = malloc(POOL);
    EXPECT(pool);
    memset(&b, 0, sizeof b);
    flash_new();
    executions++;
    start(&b, pool);
    while (in.left) {
        const uint32_t command = fuzz_take(&in, 1);
        switch (command & 7u) {
        case 0: b.now += fuzz_take(&in, 2); break;
        case 1:
            if (command == 0xF9u) start(&b, pool);
            else if (command == 0xF1u) nm_app_power_fails(&b.app);
            else hello(&b);
            break;
        case 2: bytes(&b, &in); break;
        case 3: message(&b, &in, (uint8_t)(command >> 3 & 7u), false); break;
        default:
            message(&b, &in, (uint8_t)(NM_LINK_SEQUENCED + fuzz_take(&in, 1) % 20u), true);
        }
        for (uint32_t k = 0; k < 16 && nm_app_poll(&b.app, b.now); k++) {
        }
        listen(&b);
        b.now++;
    }
    reached += b.deep;
    free(pool);
    return 0;
}
