// A V4L2 camera for machines that have none, as an LD_PRELOAD library.
//
// It shows the process another /dev and /sys/class/video4linux, taken from the directory that AHOY_V4L2_ROOT
// names and that a test lays out and changes while the program runs:
//
// dev/videoN the camera is plugged in; without it, open() says ENOENT and an open one ENODEV
// dev/v4l/by-id/... udev's links sys/class/video4linux/videoN/ name, index formats lines "FOURCC WIDTH HEIGHT
// FPS", in the order of enumeration frames/FOURCC/0, 1, 2, ... the bytes of the pictures, sent round and
// round age_ms how long before it is delivered a picture was taken (default 0) busy "open" or "stream": which
// step another program's use makes fail with EBUSY stalled while it exists, no picture comes log written by
// this library: open, stream-on, stream-off, close, one a line
//
// The application's descriptor is one end of a socket pair; a thread writes a byte into the other end for
// each picture that is due. So poll() and select() work by themselves, and closing the other end is the
// unplugging.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_CAMERAS 8
#define MAX_FORMATS 32
#define MAX_BUFFERS 8
// mmap offsets tell buffers apart; any distance over the largest picture does.
#define BUFFER_DISTANCE (1 << 26)

struct format {
    __u32 fourcc, width, height, fps;
};

struct camera {
    int fd;      // the application's end; -1: this slot is free
    int far_end; // ours
    char node[32];
    struct format formats[MAX_FORMATS];
    int format_count;
    struct format current;
    int buffer_count;
    __u32 queue[MAX_BUFFERS];
    int queued;
    void *mapped[MAX_BUFFERS];
    __u32 sequence;
    pthread_t clock;
    atomic_bool streaming, unplugged;
};

static struct camera cameras[MAX_CAMERAS] = {[0 ... MAX_CAMERAS - 1] = {.fd = -1}};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// What these names mean to everybody else. Looked up at the first use: other libraries start before this one.
#define REAL(name, result, ...)                                                                                        \
    static result (*found_##name)(__VA_ARGS__);                                                                        \
    if (!found_##name) found_##name = dlsym(RTLD_NEXT, #name);

static int real_openat(int dir, const char *path, int flags, mode_t mode) {
    REAL(openat, int, int, const char *, int, ...)
    return found_openat(dir, path, flags, mode);
}

static int real_close(int fd) {
    REAL(close, int, int)
    return found_close(fd);
}

static DIR *real_opendir(const char *path) {
    REAL(opendir, DIR *, const char *)
    return found_opendir(path);
}

static ssize_t real_readlink(const char *path, char *out, size_t size) {
    REAL(readlink, ssize_t, const char *, char *, size_t)
    return found_readlink(path, out, size);
}

static void *real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    REAL(mmap, void *, void *, size_t, int, int, int, off_t)
    return found_mmap(address, length, protection, flags, fd, offset);
}

static long real_syscall(long number, const long a[6]) {
    REAL(syscall, long, long, ...)
    return found_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static const char *root(void) {
    static const char *found;
    if (!found) found = getenv("AHOY_V4L2_ROOT");
    return found;
}

// --- the directory that the test changes ---

static void in_root(char out[PATH_MAX], const char *path) {
    snprintf(out, PATH_MAX, "%s/%s", root(), path);
}

static int exists(const char *path) {
    char full[PATH_MAX];
    in_root(full, path);
    return access(full, F_OK) == 0;
}

// Reads a small file; its length, or -1.
static ssize_t contents(const char *path, void *out, size_t size) {
    char full[PATH_MAX];
    in_root(full, path);
    int fd = real_openat(AT_FDCWD, full, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    size_t have = 0;
    for (ssize_t n; have < size && (n = read(fd, (char *)out + have, size - have)) > 0;) have += n;
    real_close(fd);
    return have;
}

static int is_busy(const char *step) {
    char text[16] = "";
    return contents("busy", text, sizeof text - 1) > 0 && strncmp(text, step, strlen(step)) == 0;
}

static void log_line(const struct camera *camera, const char *what) {
    char full[PATH_MAX], line[64];
    in_root(full, "log");
    int length = snprintf(line, sizeof line, "%s %s\n", what, camera->node);
    int fd = real_openat(AT_FDCWD, full, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (write(fd, line, length) != length) perror("v4l2 emulator: log");
    real_close(fd);
}

// The path that stands for `path`: below the root for what the emulator shows, else itself.
static const char *shown(const char *path, char out[PATH_MAX]) {
    static const char *const prefixes[] = {"/dev/v4l/", "/sys/class/video4linux"};
    if (!root() || !path) return path;
    int ours = strcmp(path, "/dev") == 0;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        ours |= strncmp(path, prefixes[i], strlen(prefixes[i])) == 0;
    if (!ours) return path;
    in_root(out, path + 1);
    return out;
}

// --- the clock: one byte a picture ---

static void *run_clock(void *argument) {
    struct camera *camera = argument;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (camera->streaming) {
        next.tv_nsec += 1000000000 / camera->current.fps;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        if (!exists(camera->node + 1)) {
            camera->unplugged = 1;
            shutdown(camera->far_end, SHUT_RDWR);
            break;
        }
        // A full socket means that nobody has taken pictures for long; a camera drops them then.
        if (!exists("stalled")) send(camera->far_end, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return NULL;
}

static void stop_clock(struct camera *camera) {
    if (!atomic_exchange(&camera->streaming, 0)) return;
    pthread_join(camera->clock, NULL);
    char byte;
    while (recv(camera->fd, &byte, 1, MSG_DONTWAIT) > 0) continue;
    camera->queued = 0;
}

// --- the device ---

static struct camera *camera_of(int fd) {
    for (int i = 0; fd >= 0 && i < MAX_CAMERAS; i++)
        if (cameras[i].fd == fd) return &cameras[i];
    return NULL;
}

static void read_formats(struct camera *camera) {
    char text[4096] = "", fourcc[5];
    if (contents("formats", text, sizeof text - 1) < 0) return;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && camera->format_count < MAX_FORMATS;) {
        struct format *format = &camera->formats[camera->format_count];
        if (sscanf(line, "%4s %u %u %u", fourcc, &format->width, &format->height, &format->fps) != 4) continue;
        format->fourcc = v4l2_fourcc(fourcc[0], fourcc[1], fourcc[2], fourcc[3]);
        camera->format_count++;
    }
    camera->current = camera->formats[0];
}

static int open_camera(const char *path) {
    if (!exists(path + 1)) return errno = ENOENT, -1;
    if (is_busy("open")) return errno = EBUSY, -1;
    pthread_mutex_lock(&lock);
    int ends[2] = {-1, -1};
    for (int i = 0; i < MAX_CAMERAS; i++) {
        struct camera *camera = &cameras[i];
        if (camera->fd >= 0) continue;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) break;
        memset(camera, 0, sizeof *camera);
        camera->fd = ends[0];
        camera->far_end = ends[1];
        snprintf(camera->node, sizeof camera->node, "%s", path);
        read_formats(camera);
        log_line(camera, "open");
        break;
    }
    pthread_mutex_unlock(&lock);
    if (ends[0] < 0) errno = ENFILE;
    return ends[0];
}

static size_t picture_size(const struct format *format) {
    size_t pixels = (size_t)format->width * format->height;
    return format->fourcc == V4L2_PIX_FMT_NV12 ? pixels * 3 / 2 : pixels * 2;
}

// The n-th distinct size of a pixel format, or n-th rate of a size, or n-th pixel format.
static const struct format *nth(const struct camera *camera, __u32 n, __u32 fourcc, __u32 width, __u32 height) {
    for (int i = 0; i < camera->format_count; i++) {
        const struct format *format = &camera->formats[i];
        if ((fourcc && format->fourcc != fourcc) || (width && (format->width != width || format->height != height)))
            continue;
        int seen_before = 0;
        for (int j = 0; j < i && !width; j++) {
            const struct format *other = &camera->formats[j];
            seen_before |= other->fourcc == format->fourcc &&
                           (!fourcc || (other->width == format->width && other->height == format->height));
        }
        if (!seen_before && n-- == 0) return format;
    }
    return NULL;
}

static int get_format(const struct camera *camera, struct v4l2_format *out) {
    struct v4l2_pix_format *pix = &out->fmt.pix;
    memset(pix, 0, sizeof *pix);
    pix->width = camera->current.width;
    pix->height = camera->current.height;
    pix->pixelformat = camera->current.fourcc;
    pix->field = V4L2_FIELD_NONE;
    pix->sizeimage = picture_size(&camera->current);
    return 0;
}

static int set_format(struct camera *camera, struct v4l2_format *wanted) {
    if (is_busy("stream") || camera->buffer_count) return EBUSY;
    const struct v4l2_pix_format *pix = &wanted->fmt.pix;
    const struct format *format = nth(camera, 0, pix->pixelformat, pix->width, pix->height);
    // As a driver does: what it cannot do becomes what it can.
    camera->current = format ? *format : camera->formats[0];
    return get_format(camera, wanted);
}

static int frame_rate(struct camera *camera, struct v4l2_streamparm *parm, int set) {
    struct v4l2_captureparm *capture = &parm->parm.capture;
    for (int i = 0; set && i < camera->format_count; i++) {
        const struct format *format = &camera->formats[i];
        if (format->fourcc == camera->current.fourcc && format->width == camera->current.width &&
            format->height == camera->current.height &&
            format->fps * capture->timeperframe.numerator == capture->timeperframe.denominator)
            camera->current = *format;
    }
    memset(capture, 0, sizeof *capture);
    capture->capability = V4L2_CAP_TIMEPERFRAME;
    capture->timeperframe = (struct v4l2_fract){1, camera->current.fps};
    return 0;
}

static int request_buffers(struct camera *camera, struct v4l2_requestbuffers *request) {
    if (request->memory != V4L2_MEMORY_MMAP) return EINVAL;
    if (request->count && (is_busy("stream") || camera->buffer_count)) return EBUSY;
    if (request->count > MAX_BUFFERS) request->count = MAX_BUFFERS;
    camera->buffer_count = request->count;
    camera->queued = 0;
    return 0;
}

static int query_buffer(const struct camera *camera, struct v4l2_buffer *buffer) {
    if (buffer->index >= (__u32)camera->buffer_count) return EINVAL;
    buffer->length = picture_size(&camera->current);
    buffer->m.offset = buffer->index * BUFFER_DISTANCE;
    return 0;
}

static int queue_buffer(struct camera *camera, const struct v4l2_buffer *buffer) {
    if (buffer->index >= (__u32)camera->buffer_count || camera->queued == camera->buffer_count) return EINVAL;
    camera->queue[camera->queued++] = buffer->index;
    return 0;
}

// Puts the next picture into the buffer that has waited longest.
static int dequeue_buffer(struct camera *camera, struct v4l2_buffer *buffer) {
    char due, path[64], age[16] = "0";
    if (recv(camera->fd, &due, 1, MSG_DONTWAIT) != 1) return camera->unplugged ? ENODEV : EAGAIN;
    if (!camera->queued) return EAGAIN;
    buffer->index = camera->queue[0];
    memmove(camera->queue, camera->queue + 1, --camera->queued * sizeof *camera->queue);

    const char *fourcc = (const char *)&camera->current.fourcc;
    void *out = camera->mapped[buffer->index];
    size_t size = picture_size(&camera->current);
    snprintf(path, sizeof path, "frames/%.4s/%u", fourcc, camera->sequence);
    if (!exists(path)) {
        camera->sequence = 0;
        snprintf(path, sizeof path, "frames/%.4s/0", fourcc);
    }
    ssize_t used = contents(path, out, size);
    if (used < 0) return EIO;
    camera->sequence++;

    contents("age_ms", age, sizeof age - 1);
    struct timespec taken;
    clock_gettime(CLOCK_MONOTONIC, &taken);
    long long nanos = taken.tv_sec * 1000000000LL + taken.tv_nsec - atoll(age) * 1000000LL;
    buffer->timestamp = (struct timeval){nanos / 1000000000, nanos % 1000000000 / 1000};
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->field = V4L2_FIELD_NONE;
    buffer->length = size;
    buffer->bytesused = used;
    buffer->sequence = camera->sequence;
    return 0;
}

static int stream_on(struct camera *camera) {
    if (camera->streaming) return 0;
    camera->streaming = 1;
    log_line(camera, "stream-on");
    if (pthread_create(&camera->clock, NULL, run_clock, camera) == 0) return 0;
    camera->streaming = 0;
    return ENOMEM;
}

static int stream_off(struct camera *camera) {
    if (camera->streaming) log_line(camera, "stream-off");
    stop_clock(camera);
    return 0;
}

static int query_capability(const struct camera *camera, struct v4l2_capability *out) {
    memset(out, 0, sizeof *out);
    strcpy((char *)out->driver, "emulated");
    strcpy((char *)out->card, "Emulated camera");
    snprintf((char *)out->bus_info, sizeof out->bus_info, "platform:%.20s", camera->node);
    out->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    out->capabilities = out->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

// An errno, 0 for success.
static int control(struct camera *camera, unsigned long request, void *argument) {
    if (camera->unplugged || !exists(camera->node + 1)) {
        // A driver frees what it had when the last buffer and the descriptor go; the stream ends at once.
        stop_clock(camera);
        return ENODEV;
    }
    const struct format *format;
    switch (request) {
    case VIDIOC_QUERYCAP: return query_capability(camera, argument);
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *description = argument;
        if (!(format = nth(camera, description->index, 0, 0, 0))) return EINVAL;
        description->pixelformat = format->fourcc;
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *size = argument;
        if (!(format = nth(camera, size->index, size->pixel_format, 0, 0))) return EINVAL;
        size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        size->discrete = (struct v4l2_frmsize_discrete){format->width, format->height};
        return 0;
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *interval = argument;
        format = nth(camera, interval->index, interval->pixel_format, interval->width, interval->height);
        if (!format) return EINVAL;
        interval->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        interval->discrete = (struct v4l2_fract){1, format->fps};
        return 0;
    }
    case VIDIOC_G_FMT: return get_format(camera, argument);
    case VIDIOC_S_FMT: return set_format(camera, argument);
    case VIDIOC_G_PARM: return frame_rate(camera, argument, 0);
    case VIDIOC_S_PARM: return frame_rate(camera, argument, 1);
    case VIDIOC_REQBUFS: return request_buffers(camera, argument);
    case VIDIOC_QUERYBUF: return query_buffer(camera, argument);
    case VIDIOC_QBUF: return queue_buffer(camera, argument);
    case VIDIOC_DQBUF: return dequeue_buffer(camera, argument);
    case VIDIOC_STREAMON: return stream_on(camera);
    case VIDIOC_STREAMOFF: return stream_off(camera);
    default: return ENOTTY;
    }
}

// --- what the application calls ---

static int open_any(int dir, const char *path, int flags, mode_t mode) {
    char other[PATH_MAX];
    if (root() && path && strncmp(path, "/dev/video", 10) == 0) return open_camera(path);
    return real_openat(dir, shown(path, other), flags, mode);
}

#define MODE(flags, last)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                             \
        va_list list;                                                                                                  \
        va_start(list, last);                                                                                          \
        mode = va_arg(list, mode_t);                                                                                   \
        va_end(list);                                                                                                  \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_any(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_any(dir, path, flags, mode);
}

DIR *opendir(const char *path) {
    char other[PATH_MAX];
    return real_opendir(shown(path, other));
}

ssize_t readlink(const char *path, char *out, size_t size) {
    char other[PATH_MAX];
    return real_readlink(shown(path, other), out, size);
}

int close(int fd) {
    pthread_mutex_lock(&lock);
    struct camera *camera = camera_of(fd);
    if (camera) {
        stream_off(camera);
        log_line(camera, "close");
        real_close(camera->far_end);
        camera->fd = -1;
    }
    pthread_mutex_unlock(&lock);
    return real_close(fd);
}

static void *map(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    struct camera *camera = camera_of(fd);
    if (!camera) return real_mmap(address, length, protection, flags, fd, offset);
    size_t index = offset / BUFFER_DISTANCE;
    if (index >= (size_t)camera->buffer_count) return errno = EINVAL, MAP_FAILED;
    // As vb2 allocates: whole pages.
    return camera->mapped[index] =
               real_mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    return map(address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    return map(address, length, protection, flags, fd, offset);
}

static int control_any(int fd, unsigned long request, void *argument) {
    struct camera *camera = camera_of(fd);
    if (!camera) return real_syscall(SYS_ioctl, (long[6]){fd, request, (long)argument});
    int error = control(camera, request & 0xffffffff, argument);
    if (error) errno = error;
    return error ? -1 : 0;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    return control_any(fd, request, argument);
}

// The v4l crate calls ioctl by its number.
long syscall(long number, ...) {
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_ioctl) return control_any(a[0], a[1], (void *)a[2]);
    return real_syscall(number, a);
}
