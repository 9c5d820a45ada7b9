//! An EGL vendor that draws nothing.
//!
//! WebKit's processes open an EGL display when they start, also where nothing is drawn by it, and end where
//! they get none. Without a graphics card that display is Mesa's, and with it come LLVM and a compiler of
//! shaders: 38 of an idle app's 174 MB, measured with two apps on Debian 12. The display of this library
//! opens, and has no configurations, no contexts and no extensions, as if the machine's OpenGL were good for
//! nothing.
//!
//! libEGL of libglvnd loads it where the environment names it (`__EGL_VENDOR_LIBRARY_DIRS`), and asks
//! [`__egl_Main`] for the rest: `libeglabi.h` of libglvnd, ABI 0, says what. The app does so where it paints
//! pictures without the page alone. It knows nothing of the app, and is never called by it.
//!
//! The functions have the types that C gives them, so this is the one crate beside the libvpx wrapper with
//! `unsafe` in it.
#![deny(missing_docs)]
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    ptr,
};

/// The library's name, beside or below the app's program.
pub const FILE_NAME: &str = "libahoy_no_egl.so";

type Boolean = c_uint;
const FALSE: Boolean = 0;
const TRUE: Boolean = 1;

// Of EGL 1.4.
const BAD_MATCH: c_int = 0x3009;
const VENDOR: c_int = 0x3053;
const VERSION: c_int = 0x3054;
const OPENGL_ES_API: c_uint = 0x30A0;

/// The version of the ABI of which this knows, in the upper half of the word.
const ABI_MAJOR: u32 = 0;

/// What libEGL asks of a vendor (`__EGLapiImports`). It has more fields, for what a vendor may leave out.
#[repr(C)]
pub struct Imports {
    get_platform_display: Option<extern "C" fn(c_uint, *mut c_void, *const isize) -> *const c_void>,
    get_supports_api: Option<extern "C" fn(c_uint) -> Boolean>,
    get_vendor_string: Option<extern "C" fn(c_int) -> *const c_char>,
    get_proc_address: Option<unsafe extern "C" fn(*const c_char) -> *const c_void>,
    get_dispatch_address: Option<extern "C" fn(*const c_char) -> *const c_void>,
    set_dispatch_index: Option<extern "C" fn(*const c_char, c_int)>,
}

/// Tells libEGL what this vendor has; false if it speaks of another ABI.
///
/// # Safety
/// `imports` is a valid `__EGLapiImports` of libglvnd, which nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __egl_Main(
    version: u32,
    _exports: *const c_void,
    _vendor: *mut c_void,
    imports: *mut Imports,
) -> Boolean {
    // SAFETY: by the caller's promise it is null or can be written to.
    let Some(imports) = (unsafe { imports.as_mut() }) else { return FALSE };
    if version >> 16 != ABI_MAJOR {
        return FALSE;
    }
    imports.get_platform_display = Some(get_platform_display);
    imports.get_supports_api = Some(get_supports_api);
    imports.get_proc_address = Some(get_proc_address);
    imports.get_dispatch_address = Some(get_dispatch_address);
    imports.set_dispatch_index = Some(set_dispatch_index);
    TRUE
}

/// The only display: a handle is an address.
static DISPLAY: u8 = 0;

extern "C" fn get_platform_display(
    _platform: c_uint,
    _native: *mut c_void,
    _attributes: *const isize,
) -> *const c_void {
    (&raw const DISPLAY).cast()
}

/// libEGL refuses a vendor that supports nothing.
extern "C" fn get_supports_api(api: c_uint) -> Boolean {
    Boolean::from(api == OPENGL_ES_API)
}

/// There is no OpenGL behind it.
extern "C" fn get_dispatch_address(_name: *const c_char) -> *const c_void {
    ptr::null()
}

extern "C" fn set_dispatch_index(_name: *const c_char, _index: c_int) {}

/// Functions of EGL that always fail. libEGL refuses a vendor that lacks one of them.
const REFUSED: [&CStr; 20] = [
    c"eglBindTexImage",
    c"eglCopyBuffers",
    c"eglCreateContext",
    c"eglCreatePbufferFromClientBuffer",
    c"eglCreatePbufferSurface",
    c"eglCreatePixmapSurface",
    c"eglCreateWindowSurface",
    c"eglDestroyContext",
    c"eglDestroySurface",
    c"eglGetConfigAttrib",
    c"eglMakeCurrent",
    c"eglQueryContext",
    c"eglQuerySurface",
    c"eglReleaseTexImage",
    c"eglSurfaceAttrib",
    c"eglSwapBuffers",
    c"eglSwapInterval",
    c"eglWaitClient",
    c"eglWaitGL",
    c"eglWaitNative",
];

/// # Safety
/// `name` is null or ends with a zero.
unsafe extern "C" fn get_proc_address(name: *const c_char) -> *const c_void {
    if name.is_null() {
        return ptr::null();
    }
    // SAFETY: by the caller's promise it ends with a zero.
    let name = unsafe { CStr::from_ptr(name) };
    match name.to_bytes() {
        b"eglInitialize" => initialize as *const c_void,
        b"eglTerminate" => accept_display as *const c_void,
        b"eglReleaseThread" => accept as *const c_void,
        b"eglGetError" => get_error as *const c_void,
        b"eglQueryString" => query_string as *const c_void,
        b"eglChooseConfig" => choose_config as *const c_void,
        b"eglGetConfigs" => get_configs as *const c_void,
        _ if REFUSED.contains(&name) => refuse as *const c_void,
        _ => ptr::null(),
    }
}

/// # Safety
/// Each of the two is null or can be written to.
unsafe extern "C" fn initialize(_display: *mut c_void, major: *mut c_int, minor: *mut c_int) -> Boolean {
    // SAFETY: by the caller's promise.
    unsafe {
        set(major, 1);
        set(minor, 4);
    }
    TRUE
}

extern "C" fn accept_display(_display: *mut c_void) -> Boolean {
    TRUE
}

extern "C" fn accept() -> Boolean {
    TRUE
}

extern "C" fn get_error() -> c_int {
    BAD_MATCH
}

extern "C" fn query_string(_display: *mut c_void, name: c_int) -> *const c_char {
    match name {
        VERSION => c"1.4 none".as_ptr(),
        VENDOR => c"none".as_ptr(),
        _ => c"".as_ptr(),
    }
}

/// # Safety
/// `count` is null or can be written to.
unsafe extern "C" fn choose_config(
    _display: *mut c_void,
    _attributes: *const c_int,
    _configs: *mut *mut c_void,
    _size: c_int,
    count: *mut c_int,
) -> Boolean {
    // SAFETY: by the caller's promise.
    unsafe { set(count, 0) };
    TRUE
}

/// # Safety
/// `count` is null or can be written to.
unsafe extern "C" fn get_configs(
    _display: *mut c_void,
    _configs: *mut *mut c_void,
    _size: c_int,
    count: *mut c_int,
) -> Boolean {
    // SAFETY: by the caller's promise.
    unsafe { set(count, 0) };
    TRUE
}

/// In place of any function, whatever it is given: C leaves arguments that nobody reads to the caller, and
/// zero is false, no context, no surface and null.
extern "C" fn refuse() -> isize {
    0
}

/// # Safety
/// `to` is null or can be written to.
unsafe fn set(to: *mut c_int, value: c_int) {
    // SAFETY: by the caller's promise.
    if let Some(to) = unsafe { to.as_mut() } {
        *to = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: u32) -> Option<Imports> {
        let mut imports = Imports {
            get_platform_display: None,
            get_supports_api: None,
            get_vendor_string: None,
            get_proc_address: None,
            get_dispatch_address: None,
            set_dispatch_index: None,
        };
        // SAFETY: a valid reference.
        let known = unsafe { __egl_Main(version, ptr::null(), ptr::null_mut(), &raw mut imports) };
        (known == TRUE).then_some(imports)
    }

    fn function(imports: &Imports, name: &CStr) -> *const c_void {
        // SAFETY: it ends with a zero.
        unsafe { imports.get_proc_address.unwrap()(name.as_ptr()) }
    }

    #[test]
    fn a_display_opens_and_has_nothing_to_draw_by() {
        let imports = asked(1).unwrap();
        let display = imports.get_platform_display.unwrap()(0, ptr::null_mut(), ptr::null()).cast_mut();
        assert!(!display.is_null());
        assert_eq!(imports.get_supports_api.unwrap()(OPENGL_ES_API), TRUE);
        let (mut major, mut minor, mut count) = (0, 0, 7);
        // SAFETY: all can be written to.
        unsafe {
            assert_eq!(initialize(display, &raw mut major, &raw mut minor), TRUE);
            assert_eq!(choose_config(display, ptr::null(), ptr::null_mut(), 0, &raw mut count), TRUE);
            assert_eq!(initialize(display, ptr::null_mut(), ptr::null_mut()), TRUE);
        }
        assert_eq!((major, minor, count), (1, 4, 0));
        // SAFETY: a constant.
        assert_eq!(unsafe { CStr::from_ptr(query_string(display, 0x3055)) }, c"", "no extensions");
    }

    #[test]
    fn what_libegl_needs_is_there_and_the_rest_is_not() {
        let imports = asked(0x0000_0003).unwrap();
        for name in [c"eglInitialize", c"eglGetConfigs", c"eglSwapBuffers", c"eglWaitNative"] {
            assert!(!function(&imports, name).is_null(), "{name:?}");
        }
        for name in [c"", c"glClear", c"eglCreateImage", c"eglSwapBuffersWithDamageKHR"] {
            assert!(function(&imports, name).is_null(), "{name:?}");
        }
    }

    #[test]
    fn another_abi_is_refused() {
        assert!(asked(0x0001_0000).is_none());
    }
}
