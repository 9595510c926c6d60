/* Port to a host with POSIX: the line is a pseudo-terminal or a TCP connection, a reset is SIGUSR1. */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE
#else
#define _GNU_SOURCE
#endif
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "flash.h"

#define NEVER 1000u                      /* ms; an idle board looks up now and then */
#define BURST_MS 20u                     /* what a rate-limited line makes up for after the program was not scheduled */

static uint64_t pool[NM_POOL_BYTES / 8u];
static uint8_t uid[16];
static uint32_t boots;
static uint8_t cause = NM_RESET_PIN;     /* of starts but the first */

static int line = -1;                    /* of the present host, -1: none */
static int listener = -1;                /* TCP only */
static bool blocked;                     /* the line took less than it was given */

static volatile sig_atomic_t reset_pressed;
static sigjmp_buf reset_vector;

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

/* ---- time and the speed of the line ---- */

static uint64_t micros(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void nm_port_line_errors(uint32_t *framing, uint32_t *overrun) { *framing = *overrun = 0; }

uint32_t nm_port_millis(void) { return (uint32_t)(micros() / 1000u); }

/* Bytes that a direction of a line of limited speed may move now: what its bits took, ten to a byte, is past. */
typedef struct {
    uint64_t free_at;                    /* in microseconds */
    bool slow;                           /* the last call was cut short */
} direction;

static uint64_t bits_per_second;         /* 0: as fast as the host */
static direction rx_speed, tx_speed;

static uint32_t allowed(direction *d, uint32_t want)
{
    const uint64_t now = micros(), earliest = now - BURST_MS * 1000u;
    if (!bits_per_second)
        return want;
    if (d->free_at < earliest)
        d->free_at = earliest;
    const uint64_t bytes = d->free_at < now ? (now - d->free_at) * bits_per_second / 10000000u : 0;
    d->slow = bytes < want;
    return d->slow ? (uint32_t)bytes : want;
}

static void moved(direction *d, uint32_t bytes)
{
    if (bits_per_second)
        d->free_at += (uint64_t)bytes * 10000000u / bits_per_second;
}

/* ---- the line ---- */

static void hang_up(void)
{
    if (listener < 0)
        return;                          /* a pseudo-terminal stays */
    close(line);
    line = -1;
}

static void answer(void)
{
    const int on = 1;
    if (line >= 0 || listener < 0 || (line = accept(listener, NULL, NULL)) < 0)
        return;
    fcntl(line, F_SETFL, O_NONBLOCK);
    setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static uint32_t take(ssize_t n)
{
    if (n > 0)
        return (uint32_t)n;
    if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        hang_up();
    return 0;
}

uint32_t nm_port_read(uint8_t *bytes, uint32_t cap)
{
    if (reset_pressed)
        siglongjmp(reset_vector, 1);
    answer();
    cap = allowed(&rx_speed, cap);
    if (line < 0 || cap == 0)
        return 0;
    const uint32_t n = take(read(line, bytes, cap));
    moved(&rx_speed, n);
    return n;
}

/* What nobody listens to is lost, as on a wire. */
uint32_t nm_port_write(const uint8_t *bytes, uint32_t len)
{
    if (len == 0 || line < 0)
        return len;
    const uint32_t most = allowed(&tx_speed, len), n = most ? take(write(line, bytes, most)) : 0;
    moved(&tx_speed, n);
    blocked = n < most;
    return line < 0 ? len : n;
}

void nm_port_wait(uint32_t ms)
{
    struct pollfd fd = {line >= 0 ? line : listener, POLLIN, 0};
    if (blocked)
        fd.events |= POLLOUT;
    if (rx_speed.slow || tx_speed.slow) {
        fd.fd = -1;                      /* it is ready, but its time has not come */
        ms = ms ? 1 : 0;
    }
    poll(&fd, 1, (int)(ms < NEVER ? ms : NEVER));
    rx_speed.slow = tx_speed.slow = blocked = false;
}

uint32_t nm_port_stack_used(void) { return 0; }

/* ---- starting ---- */

/* Our own end stays open, so that the line outlives the programs that open it. */
static void open_pty(void)
{
    struct termios raw;
    line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) || unlockpt(line))
        fail("pseudo-terminal");
    const char *path = ptsname(line);
    const int terminal = path ? open(path, O_RDWR | O_NOCTTY) : -1;
    if (terminal < 0 || tcgetattr(terminal, &raw))
        fail("pseudo-terminal");
    cfmakeraw(&raw);
    tcsetattr(terminal, TCSANOW, &raw);
    fcntl(line, F_SETFL, O_NONBLOCK);
    printf("pty %s\n", path);
}

static void open_tcp(long port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof at;
    const int on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, size) || listen(listener, 1)
        || getsockname(listener, (struct sockaddr *)&at, &size))
        fail("TCP port");
    fcntl(listener, F_SETFL, O_NONBLOCK);
    printf("tcp 127.0.0.1:%u\n", (unsigned)ntohs(at.sin_port));
}

static void on_reset(int number)
{
    (void)number;
    reset_pressed = 1;
}

static void on_power_failing(int number)
{
    (void)number;
    nm_power_fails();
}

static void usage(void)
{
    fputs("usage: posix (--pty | --tcp PORT) [--rate BAUD] [--uid NAME] [--flash FILE [--cut N]]\n"
          "             [--cause NAME]\n"
          "The neuromorph firmware as a program. The first line of output names its port: 'pty PATH' or\n"
          "'tcp HOST:PORT' (port 0: a free one). SIGUSR1 resets the board; memory and port stay. NAME is why it then\n"
          "says that it started: pin (default), software, watchdog, brown-out.\n"
          "SIGUSR2 tells it that the power is about to fail.\n"
          "FILE keeps what the board stores; the power fails in flash operation N.\n", stderr);
    exit(2);
}

static long number(const char *text, long most)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (*end || value < 0 || value > most)
        usage();
    return value;
}

static uint8_t cause_named(const char *name)
{
    static const struct { const char *name; uint8_t cause; } known[] = {
        {"pin", NM_RESET_PIN}, {"software", NM_RESET_SOFTWARE}, {"watchdog", NM_RESET_WATCHDOG},
        {"brown-out", NM_RESET_BROWNOUT},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name))
            return known[i].cause;
    usage();
    return NM_RESET_UNKNOWN;
}

/* Everything is read before anything is opened: a wrong option leaves no trace. */
static void open_line(int argc, char **argv)
{
    bool pty = false;
    long tcp = -1, cut = 0;
    const char *flash = NULL;
    for (int i = 1; i < argc; i++) {
        const char *const name = argv[i];
        if (!strcmp(name, "--pty")) {
            pty = true;
            continue;
        }
        if (++i == argc)
            usage();
        if (!strcmp(name, "--tcp"))
            tcp = number(argv[i], 65535);
        else if (!strcmp(name, "--rate"))
            bits_per_second = (uint64_t)number(argv[i], 1000000000);
        else if (!strcmp(name, "--flash"))
            flash = argv[i];
        else if (!strcmp(name, "--cause"))
            cause = cause_named(argv[i]);
        else if (!strcmp(name, "--cut"))
            cut = number(argv[i], 1000000000);
        else if (!strcmp(name, "--uid"))
            memcpy(uid, argv[i], strnlen(argv[i], sizeof uid));
        else
            usage();
    }
    if (pty == (tcp >= 0) || (cut && !flash))
        usage();
    if (flash && nm_flash_open(flash, (uint64_t)cut))
        fail(flash);
    if (pty)
        open_pty();
    else
        open_tcp(tcp);
    fflush(stdout);
}

void nm_port_init(nm_port_board *board)
{
    board->boots = ++boots;
    board->cause = boots == 1 ? NM_RESET_POWER : cause;
    memcpy(board->uid, uid, sizeof uid);
    board->pool = (uint8_t *)pool;
    board->pool_len = sizeof pool;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_reset};
    open_line(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = on_power_failing;
    sigaction(SIGUSR2, &action, NULL);
    sigsetjmp(reset_vector, 1);
    reset_pressed = 0;
    if (boots && line >= 0)
        tcflush(line, TCIOFLUSH);        /* what was on the way is lost */
    nm_main();
}
