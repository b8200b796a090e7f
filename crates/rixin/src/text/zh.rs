//! The Chinese help, by command and argument. A test keeps it complete and without leftovers.

/// `(command path, argument id, text)`. An empty argument is the command's own description; the path
/// `*` holds the arguments that every command has.
pub const TABLE: &[(&str, &str, &str)] = &[
    ("*", "lang", "帮助与消息的语言"),
    ("*", "config", "配置文件（RIXIN_CONFIG；未指定时读取数据文件夹中的 rixin.toml）"),
    ("*", "data_dir", "模型、密钥和会话所在的文件夹"),
    ("*", "set", "按名称指定任意设置，例如 --set slots=4；`rixin config show` 列出全部设置"),
    ("*", "json", "标准输出为一个 JSON 文档，错误以 JSON 写到标准错误"),
    ("*", "log", "写到标准错误的日志：error、warn、info、debug，或 rixin_api=trace 这样的过滤"),
    ("*", "verbose", "显示更多；-vv 同时输出日志"),
    ("*", "help", "显示帮助（-h 为简短形式）"),
    ("", "", "日新（Rixin）：在自己的机器上运行的生成式 AI 套件"),
    ("", "version", "显示版本"),
    ("serve", "", "启动服务器：API 与网页控制台"),
    ("serve", "listen", "监听的地址和端口，例如 127.0.0.1:8460"),
    ("serve", "port", "只改端口"),
    ("serve", "log_format", "日志的形式：text 或 json"),
    ("serve", "offline", "拒绝一切对外连接"),
    ("chat", "", "在终端里与模型对话；不需要服务器"),
    ("chat", "model", "模型；省略时使用设置 default_model"),
    ("chat", "prompt", "只问这一个问题，显示回答后退出；- 表示从标准输入读取"),
    ("chat", "file", "把这个文本文件放在问题之前；与 -p 同用"),
    ("chat", "system", "给模型的系统提示"),
    ("chat", "server", "向运行中的服务器（或任何兼容 OpenAI 协议的引擎）提问，不在本进程加载模型"),
    ("chat", "key", "服务器的密钥（RIXIN_KEY）"),
    ("chat", "temperature", "0：总取最可能的词；越高越自由"),
    ("chat", "top_p", "只在累计概率达到该值的词中选取，0 到 1"),
    ("chat", "max_tokens", "回答的最大词元数"),
    ("chat", "seed", "种子相同，回答相同"),
    ("models", "", "查找、拉取、导入、校验和删除模型"),
    ("models list", "", "列出已安装的模型"),
    ("models list", "text", "只列出包含这些词的模型"),
    ("models list", "kind", "只列出这一类"),
    ("models list", "origin", "只列出这种来历：own 自带、imported 导入、trained 本地训练"),
    ("models list", "limit", "最多列出的个数"),
    ("models search", "", "在目录中查找可以拉取的模型"),
    ("models search", "text", "须包含的词，中英文均可"),
    ("models search", "fits", "只列出本机当前空闲内存放得下的"),
    ("models search", "kind", "只列出这一类"),
    ("models search", "lang_of_model", "只列出会这种语言的，例如 zh"),
    ("models search", "tier", "只列出适合这类机器的"),
    ("models pull", "", "按目录名称或来源拉取模型：file:、pypi:、npm:、hf:、modelscope:、civitai:"),
    ("models pull", "target", "目录中的名称，或来源 URI"),
    ("models pull", "id", "安装时使用的名称"),
    ("models pull", "yes", "不再询问，接受其许可"),
    ("models import", "", "从本机的文件或文件夹安装模型"),
    ("models import", "target", "文件、文件夹，或来源 URI"),
    ("models import", "id", "安装时使用的名称；省略时取自文件名"),
    ("models import", "licence", "SPDX 许可编号，例如 Apache-2.0；文件自身未注明时需要"),
    ("models import", "yes", "不再询问，接受其许可"),
    ("models show", "", "显示一个模型的全部信息：来源、许可、文件与哈希"),
    ("models show", "id", "模型"),
    ("models verify", "", "重新读取每个文件，与其 SHA-256 比对"),
    ("models verify", "id", "模型；省略时为全部"),
    ("models remove", "", "删除模型"),
    ("models remove", "id", "模型"),
    ("models remove", "yes", "不再询问"),
    ("keys", "", "创建、列出和吊销 API 密钥"),
    ("keys create", "", "创建密钥；只显示这一次，不会保存在任何地方"),
    ("keys create", "name", "持有者或用途"),
    ("keys create", "role", "权限：admin 可做一切，member 只能使用模型并保存自己的会话"),
    ("keys list", "", "列出密钥，不含密钥内容"),
    ("keys list", "all", "包括已吊销的"),
    ("keys revoke", "", "吊销密钥；运行中的服务器在半秒内拒绝它"),
    ("keys revoke", "id", "编号或密钥的开头，见 `keys list`"),
    ("doctor", "", "检查本机：有什么、缺什么，以及补上它的命令"),
    ("config", "", "查看设置及其来源"),
    ("config show", "", "列出每个设置：值、来源、环境变量"),
    ("config show", "name", "只看这一个设置"),
    ("config path", "", "显示所读取的配置文件的路径"),
    ("completions", "", "输出某种 shell 的补全脚本"),
    ("completions", "shell", "shell 的名称"),
    ("version", "", "显示版本与编译方式（-v 更详细）"),
    ("help", "", "显示某个命令的帮助"),
    ("help", "command", "命令，例如 `models pull`；省略时显示全部"),
    ("replica", "", "套件自身的进程"),
    ("replica run", "", "在 unix 套接字上提供一个模型的服务"),
    ("replica run", "spec", "说明模型、套接字与规模的文件"),
    ("openapi", "", "输出 API 的 OpenAPI 文档"),
    ("reference", "", "以 Markdown 输出本命令行的参考手册"),
];

/// A command's description.
pub fn about(path: &str) -> Option<&'static str> {
    find(path, "")
}

/// An argument's description.
pub fn help(path: &str, argument: &str) -> Option<&'static str> {
    find(path, argument).or_else(|| find("*", argument))
}

fn find(path: &str, argument: &str) -> Option<&'static str> {
    TABLE.iter().find(|(p, a, _)| *p == path && *a == argument).map(|(.., text)| *text)
}
