"""What of libsrt's C interface is used: declarations for cffi, options, states and codes.

Source: srt.h and access_control.h of libsrt 1.5. The layout of `CBytePerfMon` only ever grows at its end.
"""

from __future__ import annotations

from enum import IntEnum

DECLARATIONS = """
typedef int32_t SRTSOCKET;
typedef struct { SRTSOCKET fd; int events; } SRT_EPOLL_EVENT;
typedef struct {
    int64_t msTimeStamp, pktSentTotal, pktRecvTotal;
    int pktSndLossTotal, pktRcvLossTotal, pktRetransTotal, pktSentACKTotal, pktRecvACKTotal, pktSentNAKTotal,
        pktRecvNAKTotal;
    int64_t usSndDurationTotal;
    int pktSndDropTotal, pktRcvDropTotal, pktRcvUndecryptTotal;
    uint64_t byteSentTotal, byteRecvTotal, byteRcvLossTotal, byteRetransTotal, byteSndDropTotal,
        byteRcvDropTotal, byteRcvUndecryptTotal;
    int64_t pktSent, pktRecv;
    int pktSndLoss, pktRcvLoss, pktRetrans, pktRcvRetrans, pktSentACK, pktRecvACK, pktSentNAK, pktRecvNAK;
    double mbpsSendRate, mbpsRecvRate;
    int64_t usSndDuration;
    int pktReorderDistance;
    double pktRcvAvgBelatedTime;
    int64_t pktRcvBelated;
    int pktSndDrop, pktRcvDrop, pktRcvUndecrypt;
    uint64_t byteSent, byteRecv, byteRcvLoss, byteRetrans, byteSndDrop, byteRcvDrop, byteRcvUndecrypt;
    double usPktSndPeriod;
    int pktFlowWindow, pktCongestionWindow, pktFlightSize;
    double msRTT, mbpsBandwidth;
    int byteAvailSndBuf, byteAvailRcvBuf;
    double mbpsMaxBW;
    int byteMSS, pktSndBuf, byteSndBuf, msSndBuf, msSndTsbPdDelay, pktRcvBuf, byteRcvBuf, msRcvBuf,
        msRcvTsbPdDelay, pktSndFilterExtraTotal, pktRcvFilterExtraTotal, pktRcvFilterSupplyTotal,
        pktRcvFilterLossTotal, pktSndFilterExtra, pktRcvFilterExtra, pktRcvFilterSupply, pktRcvFilterLoss,
        pktReorderTolerance;
    int64_t pktSentUniqueTotal, pktRecvUniqueTotal;
    uint64_t byteSentUniqueTotal, byteRecvUniqueTotal;
    int64_t pktSentUnique, pktRecvUnique;
    uint64_t byteSentUnique, byteRecvUnique;
} SRT_TRACEBSTATS;
typedef int srt_listen_callback_fn(void *opaque, SRTSOCKET ns, int hs_version, const void *peer, const char *stream_id);

int srt_startup(void);
int srt_cleanup(void);
uint32_t srt_getversion(void);
void srt_setloglevel(int level);
SRTSOCKET srt_create_socket(void);
int srt_bind(SRTSOCKET u, const void *name, int name_len);
int srt_listen(SRTSOCKET u, int backlog);
int srt_listen_callback(SRTSOCKET u, srt_listen_callback_fn *hook, void *opaque);
SRTSOCKET srt_accept(SRTSOCKET u, void *addr, int *addr_len);
int srt_connect(SRTSOCKET u, const void *name, int name_len);
int srt_close(SRTSOCKET u);
int srt_getsockname(SRTSOCKET u, void *name, int *name_len);
int srt_getsockflag(SRTSOCKET u, int option, void *value, int *value_len);
int srt_setsockflag(SRTSOCKET u, int option, const void *value, int value_len);
int srt_send(SRTSOCKET u, const char *data, int size);
int srt_recvmsg(SRTSOCKET u, char *data, int size);
int srt_getsockstate(SRTSOCKET u);
int srt_bistats(SRTSOCKET u, SRT_TRACEBSTATS *stats, int clear, int instantaneous);
int srt_setrejectreason(SRTSOCKET u, int code);
int srt_getrejectreason(SRTSOCKET u);
int srt_getlasterror(int *errno_loc);
const char *srt_getlasterror_str(void);
int srt_epoll_create(void);
int srt_epoll_set(int eid, int32_t flags);
int srt_epoll_add_usock(int eid, SRTSOCKET u, const int *events);
int srt_epoll_remove_usock(int eid, SRTSOCKET u);
int srt_epoll_uwait(int eid, SRT_EPOLL_EVENT *events, int size, int64_t timeout_ms);
int srt_epoll_release(int eid);
"""

MAX_MESSAGE_BYTES = 1456
"""The most that one live-mode packet carries."""
MIN_PEER_VERSION = 0x010300
"""Older callers cannot send a stream id."""
LOG_CRITICAL = 2
EPOLL_IN, EPOLL_ERR = 0x1, 0x8
EPOLL_ENABLE_EMPTY = 1
NO_DATA_YET = 6002


class Option(IntEnum):
    """Socket options."""

    RECEIVE_BLOCKS = 2
    FLOW_WINDOW_PACKETS = 4
    UDP_RECEIVE_BUFFER_BYTES = 9
    PASSPHRASE = 26
    PEER_VERSION = 35
    RECEIVER_LATENCY_MS = 43
    MIN_VERSION = 45
    STREAM_ID = 46
    IPV6_ONLY = 54
    PEER_IDLE_TIMEOUT_MS = 55


class SocketState(IntEnum):
    """States of a socket, as far as they matter here."""

    CONNECTED = 5
    BROKEN = 6


class Reject(IntEnum):
    """What a refused caller is told: libsrt's own, and the codes that its access control guidelines took from HTTP."""

    BAD_SECRET = 10
    BAD_REQUEST = 1400
    OVERLOAD = 1402
    BAD_MODE = 1405
    CONFLICT = 1409
    UNSUPPORTED_MEDIA = 1415
