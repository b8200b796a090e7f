//! The first instructions of the process: does this processor have what the binary was compiled for?
//!
//! It runs before Rust, before the C++ initialisers of llama.cpp and before those of any library (`.preinit_array`), as each
//! of them may already hold an instruction that an older processor answers with SIGILL. For the same reason it is written
//! in assembly: the compiler would be free to use the very instructions that it looks for.

/// What the binary needs, in words.
pub const NEEDS: &[(&str, bool)] = &[
    ("avx2", cfg!(target_feature = "avx2")),
    ("bmi2", cfg!(target_feature = "bmi2")),
    ("f16c", cfg!(target_feature = "f16c")),
    ("fma", cfg!(target_feature = "fma")),
    ("avx512f", cfg!(target_feature = "avx512f")),
    ("avx512bw", cfg!(target_feature = "avx512bw")),
    ("avx512vnni", cfg!(target_feature = "avx512vnni")),
    ("neon", cfg!(target_feature = "neon")),
    ("sve", cfg!(target_feature = "sve")),
];

/// The name of the level that the binary was compiled for.
pub const LEVEL: &str = if !cfg!(target_arch = "x86_64") {
    std::env::consts::ARCH
} else if cfg!(target_feature = "avx512bw") {
    "x86-64-v4"
} else if cfg!(target_feature = "avx2") {
    "x86-64-v3"
} else if cfg!(target_feature = "sse4.2") {
    "x86-64-v2"
} else {
    "x86-64"
};

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu", target_feature = "avx2"))]
mod x86_64 {
    // CPUID bits (Intel SDM, volume 2A, "CPUID"): those of x86-64-v3, and of AVX-512 where it was compiled in.
    const LEAF1_ECX: u32 = (1 << 12) | (1 << 22) | (1 << 27) | (1 << 28) | (1 << 29); // FMA, MOVBE, OSXSAVE, AVX, F16C
    const LEAF7_EBX: u32 = (1 << 3) | (1 << 5) | (1 << 8) // BMI1, AVX2, BMI2
        | if cfg!(target_feature = "avx512f") { 1 << 16 } else { 0 }
        | if cfg!(target_feature = "avx512bw") { 1 << 30 } else { 0 };
    const LEAF7_ECX: u32 = if cfg!(target_feature = "avx512vnni") { 1 << 11 } else { 0 };
    const LEAF81_ECX: u32 = 1 << 5; // LZCNT
    // XCR0: the system saves the XMM and YMM registers, and for AVX-512 the opmask and ZMM ones.
    const XCR0: u32 = 0b110 | if cfg!(target_feature = "avx512f") { 0b1110_0000 } else { 0 };

    std::arch::global_asm!(
        ".pushsection .rodata.rixin_gate, \"a\"",
        ".Lrixin_gate_text:",
        ".ascii \"rixin: this processor lacks instructions that this binary was built for (AVX2, FMA, BMI2, F16C ...).\\n\"",
        ".ascii \"       Build it on this machine: make build CPU=native\\n\"",
        ".ascii \"       or anywhere for older ones: RUSTFLAGS='-C target-cpu=x86-64-v2' cargo build --release -p rixin\\n\"",
        ".ascii \"rixin: 此处理器缺少本程序编译时所用的指令（AVX2、FMA、BMI2、F16C 等）。\\n\"",
        ".ascii \"       请在本机重新编译：make build CPU=native\\n\"",
        ".ascii \"       或为较旧的机器编译：RUSTFLAGS='-C target-cpu=x86-64-v2' cargo build --release -p rixin\\n\"",
        ".Lrixin_gate_end:",
        ".popsection",
        ".pushsection .text.rixin_gate, \"ax\"",
        ".globl rixin_gate",
        ".hidden rixin_gate",
        ".type rixin_gate, @function",
        "rixin_gate:",
        "push rbx",
        // Leaf 7 must exist.
        "xor eax, eax",
        "cpuid",
        "cmp eax, 7",
        "jb 2f",
        "mov eax, 1",
        "xor ecx, ecx",
        "cpuid",
        "and ecx, {leaf1_ecx}",
        "cmp ecx, {leaf1_ecx}",
        "jne 2f",
        // OSXSAVE was among the bits, so xgetbv exists.
        "xor ecx, ecx",
        "xgetbv",
        "and eax, {xcr0}",
        "cmp eax, {xcr0}",
        "jne 2f",
        "mov eax, 7",
        "xor ecx, ecx",
        "cpuid",
        "and ebx, {leaf7_ebx}",
        "cmp ebx, {leaf7_ebx}",
        "jne 2f",
        "and ecx, {leaf7_ecx}",
        "cmp ecx, {leaf7_ecx}",
        "jne 2f",
        "mov eax, 0x80000001",
        "xor ecx, ecx",
        "cpuid",
        "and ecx, {leaf81_ecx}",
        "cmp ecx, {leaf81_ecx}",
        "jne 2f",
        "pop rbx",
        "ret",
        // write(2, text, length); exit_group(1)
        "2:",
        "mov eax, 1",
        "mov edi, 2",
        "lea rsi, [rip + .Lrixin_gate_text]",
        "lea rdx, [rip + .Lrixin_gate_end]",
        "sub rdx, rsi",
        "syscall",
        "mov eax, 231",
        "mov edi, 1",
        "syscall",
        "ud2",
        ".size rixin_gate, . - rixin_gate",
        ".popsection",
        leaf1_ecx = const LEAF1_ECX,
        leaf7_ebx = const LEAF7_EBX,
        leaf7_ecx = const LEAF7_ECX,
        leaf81_ecx = const LEAF81_ECX,
        xcr0 = const XCR0,
    );

    unsafe extern "C" {
        fn rixin_gate();
    }

    /// The dynamic loader calls what stands here before every other initialiser.
    #[used]
    #[unsafe(link_section = ".preinit_array")]
    static GATE: unsafe extern "C" fn() = rixin_gate;
}

/// Features of [`NEEDS`] that this build uses.
pub fn needed() -> Vec<&'static str> {
    NEEDS.iter().filter(|(_, used)| *used).map(|(name, _)| *name).collect()
}

/// The level of the processor that this runs on.
pub fn processor_level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            return "x86-64-v4";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "x86-64-v3";
        }
        if is_x86_feature_detected!("sse4.2") { "x86-64-v2" } else { "x86-64" }
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::env::consts::ARCH
}
